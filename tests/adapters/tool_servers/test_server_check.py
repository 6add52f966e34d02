"""What ``privity doctor`` finds at tool servers."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from adapters.tool_servers.server_check import server_findings
from ports.findings import Finding, Level
from tests.support.mcp_server import (
    JSON,
    SEARCH,
    SEND,
    a_result,
    a_server,
    an_error,
    odd_tool_server,
    official_server,
)
from tests.support.model_server import ModelResponse
from tests.support.redis_servers import free_port

DEEP = {"type": "object", "properties": json.loads('{"a":' * 65 + "{}" + "}" * 65)}


async def found(tools: list[dict[str, Any]], **server: Any) -> Finding:
    """The finding for a server with these tools."""
    async with odd_tool_server() as odd:
        odd.tools = tools
        [finding] = await server_findings([a_server(odd.url, **server)])
    assert finding.topic == "tool server library"
    return finding


async def failure(response: ModelResponse, **server: Any) -> Finding:
    """The finding for a server that responds to every message with this."""
    methods = ("server/discover", "initialize", "tools/list")
    async with odd_tool_server(dict.fromkeys(methods, lambda _: response)) as odd:
        [finding] = await server_findings([a_server(odd.url, **server)])
        assert finding.text.startswith(f"{odd.url}: ")
    return finding


async def test_a_server_that_lists_its_tools_is_good() -> None:
    async with official_server() as server:
        findings = await server_findings([a_server(server.url)])

    text = f"{server.url} offers 3 tools"
    assert findings == [Finding(Level.GOOD, "tool server library", text)]


async def test_only_allowed_tools_count() -> None:
    finding = await found([SEARCH, SEND], allowed=frozenset({"send"}))

    assert (finding.level, finding.advice) == (Level.GOOD, "")
    assert finding.text.endswith(" offers 1 tool")


async def test_the_session_of_a_check_is_ended() -> None:
    async with odd_tool_server() as odd:
        await server_findings([a_server(odd.url)])

        assert odd.deleted == ["session-1"]


@pytest.mark.parametrize("key", ["allowed", "never_repeat"])
async def test_names_that_the_server_does_not_have_are_a_warning(key: str) -> None:
    finding = await found([SEARCH, SEND], **{key: frozenset({"search", "buy", "lend"})})

    assert finding.level is Level.WARNING
    assert finding.text.endswith(f"; `{key}` names tools that it does not have: buy, lend")
    assert finding.advice == f"Correct `{key}` in ASSISTANT_FILE. The server has: search, send."


async def test_a_long_list_of_tools_is_shortened() -> None:
    tools = [{**SEND, "name": f"tool{number:02}"} for number in range(32)]
    finding = await found(tools, allowed=frozenset({"buy"}))

    assert finding.advice.endswith("tool28, tool29 and 2 more.")


@pytest.mark.parametrize(
    ("tool", "why"),
    [
        ({**SEND, "name": "a b"}, "it has a name that models do not accept"),
        ({**SEND, "name": "search"}, "another tool has the same name"),
        ({**SEND, "inputSchema": DEEP}, "its arguments are not an object, or nested too deeply"),
        ({**SEND, "description": "x" * 65_536}, "there is no room for it"),
    ],
)
async def test_tools_that_are_not_offered_are_a_warning(tool: dict[str, Any], why: str) -> None:
    finding = await found([SEARCH, tool])

    assert finding.level is Level.WARNING
    assert finding.text.endswith(f" offers 1 tool; 1 not offered: {why}")
    assert "`allowed`" in finding.advice


async def test_a_server_without_tools_is_a_warning() -> None:
    finding = await found([])

    assert finding.level is Level.WARNING
    assert finding.text.endswith(" offers 0 tools; it has none")
    assert finding.advice


async def test_of_two_servers_with_the_same_tool_only_the_second_is_a_warning() -> None:
    async with odd_tool_server() as first, odd_tool_server() as second:
        second.tools = [SEARCH]
        servers = [a_server(first.url, "first"), a_server(second.url, "second")]
        findings = await server_findings(servers)

    assert [finding.topic for finding in findings] == ["tool server first", "tool server second"]
    assert [finding.level for finding in findings] == [Level.GOOD, Level.WARNING]
    assert findings[1].text.endswith(
        " offers 0 tools; 1 not offered: another tool has the same name"
    )


async def test_a_server_that_is_away_does_not_hide_another() -> None:
    url = f"http://127.0.0.1:{free_port()}/mcp"
    async with odd_tool_server() as odd:
        away, present = await server_findings([a_server(url, "away"), a_server(odd.url)])

    assert (away.level, away.topic) == (Level.PROBLEM, "tool server away")
    assert away.text == f"{url}: nothing answers there, or TLS fails"
    assert "Start it" in away.advice
    assert present.level is Level.GOOD


@pytest.mark.parametrize(
    ("response", "text", "advice"),
    [
        (ModelResponse(status=401), "it refuses the request (status 401)", "`headers`"),
        (ModelResponse(status=403), "it refuses the request (status 403)", "`headers`"),
        (ModelResponse(status=404), "it accepts no requests at this path (status 404)", "path"),
        (ModelResponse(status=307), "it redirects to another address (status 307)", "`url`"),
        (ModelResponse(status=500), "it answers with status 500", "log"),
        (ModelResponse(status=503), "it answers with status 503", "log"),
        (
            ModelResponse(headers={"content-type": "text/html"}, chunks=(b"<html>",)),
            "something other than a tool server answers",
            "`url`",
        ),
        (
            ModelResponse(headers=JSON, aborts=True),
            "it closed the connection without a whole answer",
            "log",
        ),
    ],
)
async def test_each_problem_is_explained(response: ModelResponse, text: str, advice: str) -> None:
    finding = await failure(response)

    assert finding.level is Level.PROBLEM
    assert finding.text.partition("/mcp: ")[2] == text
    assert advice in finding.advice


async def test_an_answer_of_the_protocol_that_is_an_error_is_a_problem() -> None:
    def reject(message: dict[str, Any]) -> ModelResponse:
        return an_error(message, -32603, "planted")

    async with odd_tool_server({"tools/list": reject}) as odd:
        [finding] = await server_findings([a_server(odd.url)])

    assert (finding.level, finding.text) == (
        Level.PROBLEM,
        f"{odd.url}: it does not list its tools",
    )
    assert "planted" not in finding.advice


async def test_a_server_that_hangs_is_a_problem() -> None:
    hanging = ModelResponse(hangs=True)
    async with odd_tool_server({"tools/list": lambda _: hanging}) as odd:
        [finding] = await server_findings([a_server(odd.url)], within=timedelta(milliseconds=1))

    assert (finding.level, finding.text) == (
        Level.PROBLEM,
        f"{odd.url}: it does not answer in time",
    )


async def test_the_query_of_a_url_is_not_printed() -> None:
    url = f"http://127.0.0.1:{free_port()}/mcp?key=planted"
    [finding] = await server_findings([a_server(url, headers={"x-api-key": "planted"})])

    assert "planted" not in finding.text + finding.advice


async def test_a_proxy_that_cannot_be_used_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "socks5://user:pa55word@proxy.example:1080")
    [finding] = await server_findings([a_server("https://tools.example.org/mcp")])

    assert finding.level is Level.PROBLEM
    assert "https_proxy: expected" in finding.text
    assert "pa55word" not in finding.text


async def test_a_list_in_pages_counts_as_one() -> None:
    def page(message: Mapping[str, Any]) -> ModelResponse:
        params = message.get("params") or {}
        if params.get("cursor"):
            return a_result(message, {"tools": [SEND]})
        return a_result(message, {"tools": [SEARCH], "nextCursor": "2"})

    async with odd_tool_server({"tools/list": page}) as odd:
        [finding] = await server_findings([a_server(odd.url)])

    assert finding.text.endswith(" offers 2 tools")
