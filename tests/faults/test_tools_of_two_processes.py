"""A tool of the example's server is called by one process, and its reply goes on in another."""

import asyncio
import json
import runpy
from pathlib import Path
from typing import Any

from attrs import define, field

from tests.architecture.sources import ROOT
from tests.support.event_stream import documents, kinds, text_of
from tests.support.fleet import Fleet, client_of
from tests.support.mcp_server import serving
from tests.support.model_server import DONE, ModelResponse, a_reply, delta, finished, model_server
from tests.support.native_client import eventually

EXAMPLE = ROOT / "examples" / "mcp_tools"
DAY = "2031-01-02"
ARGUMENTS = json.dumps({"day": DAY})


@define
class HeldCalls:
    """An ASGI application whose tools are called only once the test allows it."""

    app: Any
    arrived: asyncio.Event = field(factory=asyncio.Event)
    allowed: asyncio.Event = field(factory=asyncio.Event)
    calls: int = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope.get("headers", ()))
        if headers.get(b"mcp-method") == b"tools/call":
            self.calls += 1
            self.arrived.set()
            await self.allowed.wait()
        await self.app(scope, receive, send)


def look_up_then_answer(body: dict[str, Any]) -> ModelResponse:
    last = body["messages"][-1]
    if last["role"] == "tool":
        return a_reply(f"It is open {last['content']}.")
    function = {"name": "opening_hours", "arguments": ARGUMENTS}
    call = {"index": 0, "id": "call_1", "type": "function", "function": function}
    return ModelResponse(chunks=(delta(tool_calls=[call]), finished("tool_calls"), DONE))


def profile_for(url: str, tmp_path: Path) -> str:
    """The path of the example's file, with this URL."""
    text = (EXAMPLE / "assistant.toml").read_text("utf-8")
    profile = tmp_path / "assistant.toml"
    profile.write_text(text.replace("http://127.0.0.1:8765/mcp", url), "utf-8")
    return str(profile)


async def test_a_call_is_shown_resumed_in_another_process_and_exported(
    fleet: Fleet, tmp_path: Path
) -> None:
    program = runpy.run_path(str(EXAMPLE / "server.py"))["server"]
    held = HeldCalls(program.streamable_http_app())
    async with (
        serving(held) as url,
        model_server(respond=look_up_then_answer) as model,
    ):
        settings = {
            "ASSISTANT_FILE": profile_for(url, tmp_path),
            "MODEL_BASE_URL": model.url,
            "PRIVITY_LOG_LEVEL": "debug",
        }
        first, second = await fleet.start(**settings), await fleet.start(**settings)
        client = client_of(first)
        async with client.streaming("When is it open?") as live:
            begun = await live.until("tool-input-start")
            await held.arrived.wait()
        other = client_of(second, client)
        session_id = str(begun[0].document["sessionId"])
        async with other.resume(session_id) as resumed:
            await resumed.until("tool-input-start")
            held.allowed.set()
            seen = (await resumed.whole()).events
        export = (await other.get(f"/api/chat/{session_id}/export")).document
        first.terminate()
        logged = (await first.wait()).err

    assert [each["toolName"] for each in documents(seen, "tool-input-start")] == ["opening_hours"]
    assert text_of(seen) == "It is open 9 to 19."
    assert kinds(seen)[-1] == "[DONE]"
    assert held.calls == 1
    parts = [part for part in export["messages"][-1]["parts"] if part["type"] != "step-start"]
    assert [part["type"] for part in parts] == ["tool-call", "tool-result", "text"]
    assert export["messages"][-1]["finishReason"] == "stop"
    assert "tools.listed" in logged
    assert "tool.called" in logged
    assert [words for words in (DAY, "9 to 19", session_id) if words in logged] == []


async def test_a_call_whose_process_is_killed_is_settled_and_never_run_again(
    fleet: Fleet, tmp_path: Path
) -> None:
    held = HeldCalls(runpy.run_path(str(EXAMPLE / "server.py"))["server"].streamable_http_app())
    async with serving(held) as url, model_server(respond=look_up_then_answer) as model:
        settings = {"ASSISTANT_FILE": profile_for(url, tmp_path), "MODEL_BASE_URL": model.url}
        victim, other_process = await fleet.start(**settings), await fleet.start(**settings)
        client = client_of(victim)
        async with client.streaming("When is it open?", key="once") as live:
            session_id = str((await live.until("tool-input-start"))[0].document["sessionId"])
            await held.arrived.wait()
            other = client_of(other_process, client)
            # What the log does not have yet dies with the process.
            async with other.resume(session_id) as resumed:
                await resumed.until("tool-input-start")
            victim.kill()

        async def has_ended() -> bool:
            return await other.has_ended(session_id)

        await eventually(has_ended)
        reply = (await other.history(session_id)).document["messages"][-1]
        forged = {"results": [{"toolCallId": "call_1", "output": "planted"}]}
        refused = await other.post(f"/api/chat/{session_id}/tool-results", forged)
        repeated = await other.post(
            "/api/chat", {"message": "When is it open?"}, idempotency_key="once"
        )
        held.allowed.set()
        newer = await other.send("And today?", session_id)

    [call] = [part for part in reply["parts"] if part["type"] == "tool-call"]
    [result] = [part for part in reply["parts"] if part["type"] == "tool-result"]
    assert (call["server"], result["failed"]) == ("library", True)
    assert "unknown whether it had an effect" in result["output"]
    assert (refused.status, refused.document["code"]) == (409, "tool_results_unexpected")
    assert repeated.session_id == session_id
    assert text_of(newer.events) == "It is open 9 to 19."
    # The second call is that of the newer message.
    assert held.calls == 2
