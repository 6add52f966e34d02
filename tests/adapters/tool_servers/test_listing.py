"""Which tools are offered, when the lists are renewed, and what hostile lists can do."""

import asyncio
import json
import math
from datetime import timedelta
from functools import partial
from typing import Any

import mcp_types
import pytest

from adapters.tool_servers.mcp_servers import FIRST_RETRY, RENEWAL
from adapters.tool_servers.tool_listing import MAX_LISTED_TOOLS, listing
from domain.model.limits import MAX_TOOLS_BYTES
from ports.tool_servers import ServerTool
from tests.support.clocks import ManualClock
from tests.support.mcp_server import (
    SEARCH,
    SEND,
    OddToolServer,
    OpenServers,
    a_result,
    a_server,
    odd_tool_server,
    opened,
)
from tests.support.model_server import ModelResponse
from tests.support.tool_servers import a_server_tool

SERVER = a_server("https://tools.example.org/mcp")


def a_tool(name: str = "search", **members: Any) -> mcp_types.Tool:
    return mcp_types.Tool(name=name, **{"input_schema": {"type": "object"}, **members})


def names(tools: tuple[ServerTool, ...]) -> list[str]:
    return [tool.tool.name for tool in tools]


def has_ended_sessions(server: OddToolServer, count: int) -> bool:
    return len(server.deleted) == count


async def offered(servers: OpenServers) -> list[str]:
    return names(tuple(await servers.adapter.tools()))


def test_a_tool_keeps_its_description_and_schema() -> None:
    schema = {"type": "object", "properties": {"q": {"type": "string", "description": "What?"}}}
    [tool] = listing(SERVER, [a_tool(description="Finds.", input_schema=schema)]).tools

    assert tool.tool.description == "Finds."
    assert json.loads(tool.tool.parameters) == schema
    assert tool.server == "library"


@pytest.mark.parametrize(
    ("hints", "may_repeat"),
    [
        (None, False),
        ({}, False),
        ({"read_only_hint": True}, True),
        ({"idempotent_hint": True}, True),
        ({"read_only_hint": False, "destructive_hint": False}, False),
    ],
)
def test_only_a_tool_that_its_server_calls_harmless_may_be_repeated(
    hints: dict[str, Any] | None, may_repeat: object
) -> None:
    annotations = None if hints is None else mcp_types.ToolAnnotations(**hints)
    tool = a_tool(annotations=annotations)
    forbidden = a_server(SERVER.url, never_repeat=frozenset({"search"}))

    assert listing(SERVER, [tool]).tools[0].may_repeat is may_repeat
    assert listing(forbidden, [tool]).tools[0].may_repeat is False


def test_only_allowed_tools_are_offered_and_missing_ones_are_counted() -> None:
    server = a_server(SERVER.url, allowed=frozenset({"search", "lend"}))
    found = listing(server, [a_tool("search"), a_tool("delete_all")])

    assert names(found.tools) == ["search"]
    assert found.left_out == {"missing": 1}


@pytest.mark.parametrize("name", ["", "a b", "a.b", "x" * 65, "ä", "a\nb"])
def test_a_name_that_models_do_not_accept_is_left_out(name: str) -> None:
    found = listing(SERVER, [a_tool(name), a_tool("search")])

    assert names(found.tools) == ["search"]
    assert found.left_out == {"name": 1}


def test_what_takes_no_object_or_is_nested_too_deeply_is_left_out() -> None:
    deep: dict[str, Any] = {}
    for _ in range(100):
        deep = {"properties": {"a": deep}}
    tools = [
        a_tool("text", input_schema={"type": "string"}),
        a_tool("deep", input_schema={"type": "object", **deep}),
    ]

    assert listing(SERVER, tools).tools == ()
    assert listing(SERVER, tools).left_out == {"schema": 2}


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_schema_with_numbers_that_json_does_not_have_is_left_out(number: float) -> None:
    schema = {"type": "object", "default": {"n": number}}
    found = listing(SERVER, [a_tool("odd", input_schema=schema), a_tool("search")])

    assert names(found.tools) == ["search"]
    assert found.left_out == {"schema": 1}


def test_the_first_of_two_tools_with_a_name_counts() -> None:
    found = listing(SERVER, [a_tool(description="one"), a_tool(description="two")])

    assert [tool.tool.description for tool in found.tools] == ["one"]
    assert found.left_out == {"twice": 1}


def test_all_tools_together_are_small_enough_for_a_prompt() -> None:
    large = [a_tool(f"t{n}", description="x" * 20_000) for n in range(9)]
    found = listing(SERVER, [*large, a_tool("small")])
    size = sum(len(tool.tool.description or "") for tool in found.tools)

    assert names(found.tools) == ["t0", "t1", "t2", "small"]
    assert size < MAX_TOOLS_BYTES
    assert found.left_out == {"too-large": 6}


async def test_the_tools_of_all_servers_are_offered_in_the_order_of_the_file() -> None:
    async with odd_tool_server() as one, odd_tool_server() as two:
        two.tools = [{**SEARCH, "description": "another"}, {**SEND, "name": "lend"}]
        async with opened(a_server(one.url, "one"), a_server(two.url, "two")) as servers:
            tools = await servers.adapter.tools()

            assert [(tool.server, tool.tool.name) for tool in tools] == [
                ("one", "search"),
                ("one", "send"),
                ("two", "lend"),
            ]


async def test_every_page_of_a_list_is_read() -> None:
    def page(message: dict[str, Any]) -> ModelResponse:
        if message.get("params", {}).get("cursor") == "2":
            return a_result(message, {"tools": [SEND]})
        return a_result(message, {"tools": [SEARCH], "nextCursor": "2"})

    async with (
        odd_tool_server({"tools/list": page}) as server,
        opened(a_server(server.url)) as servers,
    ):
        assert await offered(servers) == ["search", "send"]


async def test_a_list_without_an_end_is_bounded() -> None:
    def page(message: dict[str, Any]) -> ModelResponse:
        return a_result(message, {"tools": [SEARCH] * 100, "nextCursor": "more"})

    async with (
        odd_tool_server({"tools/list": page}) as server,
        opened(a_server(server.url)) as servers,
    ):
        assert await offered(servers) == ["search"]
        assert len(server.sent("tools/list")) == MAX_LISTED_TOOLS // 100


async def test_a_server_that_is_away_delays_nobody_and_keeps_its_earlier_tools() -> None:
    clock = ManualClock()
    async with (
        odd_tool_server() as server,
        opened(
            a_server(server.url), a_server("http://127.0.0.1:1/mcp", "away"), clock=clock
        ) as both,
    ):
        assert await offered(both) == ["search", "send"]

        server.answers["initialize"] = lambda _: ModelResponse(status=503)
        await pass_time(clock, RENEWAL)
        await server.until(lambda: len(server.sent("initialize")) == 2)

        assert await offered(both) == ["search", "send"]
        [away, *_] = both.telemetry.fields_of("tools.unavailable")
        assert away == {
            "server": "away",
            "reason": "unreachable",
            "host": "127.0.0.1:1",
            "status": None,
        }


async def test_a_server_that_fails_later_is_asked_again_as_soon_as_a_new_one() -> None:
    clock = ManualClock()
    async with odd_tool_server() as server, opened(a_server(server.url), clock=clock) as servers:
        await offered(servers)
        server.answers["initialize"] = lambda _: ModelResponse(status=503)
        await pass_time(clock, RENEWAL)
        async with asyncio.timeout(60):
            while not servers.telemetry.fields_of("tools.unavailable"):  # noqa: ASYNC110 - a fake
                await asyncio.sleep(0)

        del server.answers["initialize"]
        server.tools = [SEND]
        await pass_time(clock, FIRST_RETRY)
        await server.until(partial(has_ended_sessions, server, 2))

        assert await offered(servers) == ["send"]


async def test_lists_are_renewed_and_only_changes_are_logged() -> None:
    clock = ManualClock()
    async with odd_tool_server() as server, opened(a_server(server.url), clock=clock) as servers:
        await offered(servers)
        for lists in (2, 3):
            if lists == 3:
                server.tools = [SEND]
            await pass_time(clock, RENEWAL)
            await server.until(partial(has_ended_sessions, server, lists))

        assert await offered(servers) == ["send"]
        assert [each["tools"] for each in servers.telemetry.fields_of("tools.listed")] == [2, 1]


async def test_a_call_of_an_unknown_tool_renews_the_list_but_not_each_time() -> None:
    clock = ManualClock()
    async with odd_tool_server() as server, opened(a_server(server.url), clock=clock) as servers:
        await offered(servers)
        server.tools = [SEARCH, {**SEND, "name": "lend"}]
        await pass_time(clock, FIRST_RETRY)
        for _ in range(3):
            await servers.adapter.call(a_server_tool("send"), "{}")
        await server.until(lambda: len(server.sent("tools/list")) == 2)
        # Three calls and two lists.
        await server.until(lambda: len(server.deleted) == 5)

        assert await offered(servers) == ["search", "lend"]
        assert len(server.sent("tools/list")) == 2


async def pass_time(clock: ManualClock, duration: timedelta) -> None:
    """Let time pass in two steps, as the adapter waits."""
    for part in (FIRST_RETRY, duration - FIRST_RETRY):
        for _ in range(50):
            await asyncio.sleep(0)
        clock.advance(part)
