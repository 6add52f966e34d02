"""Tool servers that are away, slow, wrong, enormous or forgetful: the model learns of it."""

import asyncio
import json
from typing import Any

import pytest

from ports.tool_servers import ToolOutput
from tests.support.clocks import ManualClock
from tests.support.mcp_server import (
    CALL_TIMEOUT,
    EVENTS,
    JSON,
    OpenServers,
    Respond,
    a_result,
    a_server,
    a_text,
    an_error,
    odd_tool_server,
    official_server,
    opened,
)
from tests.support.model_server import ModelResponse

SECRET = "canary-7f3a"
HTML = ModelResponse(headers={"content-type": "text/html"}, chunks=(b"<html>Welcome</html>",))
ENORMOUS = ModelResponse(headers=JSON, chunks=(b'{"jsonrpc": "2.0", "x": "', *[b"x" * 65_536] * 64))
PACKED = ModelResponse(headers={**JSON, "content-encoding": "gzip"}, chunks=(b"\x1f\x8b",))


async def call(servers: OpenServers, name: str = "search") -> ToolOutput:
    tool = await servers.tool(name)
    return await servers.adapter.call(tool, json.dumps({"query": SECRET}))


def always(response: ModelResponse) -> Respond:
    return lambda _: response


def first(response: ModelResponse) -> Respond:
    """This response to the first message, and the usual text to every later one."""
    responses = [response]

    def respond(message: dict[str, Any]) -> ModelResponse:
        return responses.pop() if responses else a_text(message, "found")

    return respond


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (ModelResponse(status=500), "status"),
        (ModelResponse(status=401), "status"),
        (ModelResponse(status=302, headers={"location": "http://127.0.0.1:1/mcp"}), "status"),
        (ModelResponse(status=202), "invalid-answer"),
        (HTML, "not-mcp"),
        (ModelResponse(headers=JSON, chunks=(b"{}",)), "invalid-answer"),
        (ModelResponse(headers=JSON, chunks=(b"not json",)), "invalid-answer"),
        (ModelResponse(headers=JSON, chunks=(b'{"jsonrpc": "2.0", "id": 1',)), "invalid-answer"),
        (ModelResponse(headers=JSON, chunks=(b"{",), aborts=True), "lost"),
        (ModelResponse(headers=EVENTS, chunks=(b"data: {}\n\n",)), "invalid-answer"),
        (ModelResponse(headers=EVENTS, chunks=(b": hello\n\n",)), "lost"),
        (ENORMOUS, "too-large"),
        (PACKED, "encoded"),
    ],
)
async def test_every_unusable_answer_is_a_failed_output_with_a_reason(
    response: ModelResponse, reason: str
) -> None:
    async with (
        odd_tool_server({"tools/call": always(response)}) as server,
        opened(a_server(server.url)) as servers,
    ):
        output = await call(servers)

        assert (output.failed, output.reason) == (True, reason)
        assert SECRET not in output.output
        assert isinstance(json.loads(output.output), str)


async def test_a_result_of_another_shape_is_a_failed_output() -> None:
    async with (
        odd_tool_server({"tools/call": lambda message: a_result(message, {"x": 1})}) as server,
        opened(a_server(server.url)) as servers,
    ):
        output = await call(servers)

        assert (output.failed, output.reason) == (True, "invalid-answer")


async def test_an_error_of_the_server_is_what_the_model_gets() -> None:
    rejection = "query must name a book"
    async with (
        odd_tool_server({"tools/call": lambda one: an_error(one, -32602, rejection)}) as server,
        opened(a_server(server.url)) as servers,
    ):
        output = await call(servers)

        assert output == ToolOutput(output=json.dumps(rejection), failed=True, reason="rejected")


@pytest.mark.parametrize("status", [502, 503, 504, 404])
async def test_a_call_that_may_be_repeated_is_sent_once_more(status: int) -> None:
    async with (
        odd_tool_server({"tools/call": first(ModelResponse(status=status))}) as server,
        opened(a_server(server.url)) as servers,
    ):
        output = await call(servers)

        assert (output.output, output.failed) == ('"found"', False)
        assert len(server.sent("tools/call")) == 2


@pytest.mark.parametrize(
    "response",
    [
        ModelResponse(status=502),
        ModelResponse(status=404),
        ModelResponse(headers=JSON, chunks=(b"{",), aborts=True),
    ],
)
async def test_any_other_call_is_never_sent_again(response: ModelResponse) -> None:
    async with (
        odd_tool_server({"tools/call": always(response)}) as server,
        opened(a_server(server.url)) as servers,
    ):
        output = await call(servers, "send")

        assert output.failed
        assert len(server.sent("tools/call")) == 1


async def test_the_file_can_forbid_to_repeat_what_the_server_calls_harmless() -> None:
    async with (
        odd_tool_server({"tools/call": always(ModelResponse(status=503))}) as server,
        opened(a_server(server.url, never_repeat=frozenset({"search"}))) as servers,
    ):
        await call(servers)

        assert len(server.sent("tools/call")) == 1


async def test_a_repeated_failure_is_not_repeated_again() -> None:
    async with (
        odd_tool_server({"tools/call": always(ModelResponse(status=503))}) as server,
        opened(a_server(server.url)) as servers,
    ):
        output = await call(servers)

        assert output.reason == "status"
        assert len(server.sent("tools/call")) == 2


@pytest.mark.parametrize("headers", [JSON, EVENTS])
async def test_a_server_that_hangs_is_left_in_time_and_told_so(headers: dict[str, str]) -> None:
    hanging = ModelResponse(headers=headers, chunks=(b" ",), hangs=True)
    clock = ManualClock()
    async with (
        odd_tool_server({"tools/call": always(hanging)}) as server,
        opened(a_server(server.url), clock=clock) as servers,
    ):
        calling = asyncio.create_task(call(servers))
        await server.until(lambda: server.sent("tools/call"))
        clock.advance(CALL_TIMEOUT)
        output = await calling
        await server.until(lambda: server.sent("notifications/cancelled"))
        await server.closed.wait()

        assert (output.failed, output.reason) == (True, "timeout")
        assert len(server.sent("tools/call")) == 1


async def test_a_cancelled_call_stops_the_tool_on_its_server() -> None:
    async with official_server() as server, opened(a_server(server.url)) as servers:
        running = asyncio.create_task(call(servers, "wait"))
        await server.waiting.wait()
        running.cancel()

        with pytest.raises(asyncio.CancelledError):
            await running
        async with asyncio.timeout(20):
            await server.stopped.wait()


async def test_a_server_that_answers_twice_is_heard_once() -> None:
    def twice(message: dict[str, Any]) -> ModelResponse:
        answers = [a_text(message, text).chunks[0] or b"" for text in ("one", "two")]
        return ModelResponse(
            headers=EVENTS, chunks=[b"data: " + each + b"\n\n" for each in answers]
        )

    async with (
        odd_tool_server({"tools/call": twice}) as server,
        opened(a_server(server.url)) as servers,
    ):
        assert (await call(servers)).output == '"one"'
        assert (await call(servers)).output == '"one"'


async def test_a_result_whose_stream_was_cut_is_fetched_and_the_tool_not_run_again() -> None:
    cut = ModelResponse(headers=EVENTS, chunks=(b"id: 7\nretry: 1\ndata: \n\n",), aborts=True)

    async with (
        odd_tool_server({"tools/call": always(cut)}) as server,
        opened(a_server(server.url)) as servers,
    ):

        def rest(_: dict[str, Any]) -> ModelResponse:
            answer = a_text(server.sent("tools/call")[-1], "found later").chunks[0] or b""
            return ModelResponse(headers=EVENTS, chunks=(b"data: " + answer + b"\n\n",))

        server.answers["GET"] = rest
        output = await call(servers, "send")

        assert (output.output, output.failed) == ('"found later"', False)
        assert len(server.sent("tools/call")) == 1


async def test_every_call_has_a_session_of_its_own_which_is_ended() -> None:
    async with odd_tool_server() as server, opened(a_server(server.url)) as servers:
        for _ in range(2):
            await call(servers)
        await server.until(lambda: len(server.deleted) == 3)

        # One for the list, and one for each call.
        assert sorted(server.deleted) == ["session-1", "session-2", "session-3"]
        assert len(server.sent("server/discover")) == 1


async def test_nothing_follows_a_redirect_to_another_host() -> None:
    async with odd_tool_server() as elsewhere:
        away = ModelResponse(status=307, headers={"location": elsewhere.url})
        async with (
            odd_tool_server({"tools/call": always(away)}) as server,
            opened(a_server(server.url, headers={"authorization": "Bearer s3cret"})) as servers,
        ):
            output = await call(servers)

            assert output.failed
            assert elsewhere.messages == []
            assert {headers["authorization"] for headers in server.headers} == {"Bearer s3cret"}


async def test_a_server_that_died_between_two_calls_fails_the_second_one() -> None:
    async with odd_tool_server() as server:
        servers = opened(a_server(server.url))
        opened_servers = await servers.__aenter__()
        await call(opened_servers)
    try:
        output = await call(opened_servers)

        assert (output.failed, output.reason) == (True, "unreachable")
        assert [tool.tool.name for tool in await opened_servers.adapter.tools()] == [
            "search",
            "send",
        ]
    finally:
        await servers.__aexit__(None, None, None)


@pytest.mark.parametrize(
    "response", [HTML, ENORMOUS, ModelResponse(headers=JSON, chunks=(SECRET.encode(),))]
)
async def test_nothing_of_a_call_or_a_header_reaches_a_log(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], response: ModelResponse
) -> None:
    caplog.set_level("DEBUG")
    async with (
        odd_tool_server({"tools/call": first(response)}) as server,
        opened(a_server(server.url, headers={"x-key": SECRET})) as servers,
    ):
        await call(servers)
        await call(servers)

        assert SECRET not in repr(servers.telemetry.emitted)
        assert SECRET not in repr(servers.adapter)
    assert SECRET not in caplog.text
    assert SECRET not in "".join(capfd.readouterr())
