"""``useChat``: sources, and calls of tools that the service runs."""

from typing import Any

import pytest

from domain.model.message import FinishReason, SourcePart
from domain.model.piece import SourcePiece
from tests.support.fake_model import FakeModel
from tests.support.tool_servers import ToolCall, WaitingToolServers, a_call
from tests.support.use_chat_page import Page, State, kinds, stored_state

GUIDE = SourcePart(id="s1", title="A guide", url="https://a.example/guide", excerpt="Once upon")
NOTES = SourcePart(id="s2", title="Notes")


@pytest.fixture
def tool_servers() -> WaitingToolServers:
    return WaitingToolServers()


def plain(state: State) -> list[dict[str, Any]]:
    """The parts of the last message without members that only a stream has."""
    parts: list[dict[str, Any]] = state["messages"][-1]["parts"]
    return [
        {name: value for name, value in part.items() if name not in ("id", "rawInput")}
        for part in parts
    ]


async def searching(
    page: Page, fake_model: FakeModel, tool_servers: WaitingToolServers
) -> ToolCall:
    """A call in a reply that waits for the result of a tool that the service runs."""
    await page.send("How high?")
    model_reply = await fake_model.next_reply()
    for source in (GUIDE, NOTES):
        model_reply.send(SourcePiece(source))  # type: ignore[arg-type]
    model_reply.send(a_call("ours", arguments='{"words":'))
    model_reply.send(a_call("ours", arguments='"peaks"}'))
    model_reply.finish(FinishReason.TOOL_CALLS)
    call = await tool_servers.next_call()
    await page.until(status="streaming", text='"input-available"')
    return call


async def completed(page: Page, fake_model: FakeModel, call: ToolCall) -> State:
    """The page after the result, a step with a call that is not JSON, and the end."""
    call.answer('{"found":2}')
    model_reply = await fake_model.next_reply()
    model_reply.send(a_call("broken", arguments="{oh"))
    model_reply.finish(FinishReason.TOOL_CALLS)
    model_reply = await fake_model.next_reply()
    model_reply.send_text("Very [1]")
    model_reply.finish()
    return await page.until(status="ready", text="Very")


async def test_sources_and_calls_are_parts_of_the_message(
    page: Page, fake_model: FakeModel, tool_servers: WaitingToolServers
) -> None:
    await page.open(automatic=True)
    call = await searching(page, fake_model, tool_servers)
    state = await completed(page, fake_model, call)
    history = await stored_state(page)

    assert kinds(state["messages"][-1]) == [
        *("step-start", "source-url", "source-document", "dynamic-tool"),
        *("step-start", "dynamic-tool", "step-start", "text"),
    ]
    assert (state["toolCalls"], state["errors"], fake_model.call_count) == ([], [], 3)
    assert plain(history) == plain(state)
    await page.validate(history["messages"])


async def test_a_reload_in_mid_call_shows_the_same(
    page: Page, fake_model: FakeModel, tool_servers: WaitingToolServers
) -> None:
    await page.open(id="here", automatic=True)
    call = await searching(page, fake_model, tool_servers)
    await page.open(
        id="here", messages=(await stored_state(page))["messages"], resume=True, automatic=True
    )
    running = await page.until(status="streaming", text='"input-available"')
    state = await completed(page, fake_model, call)

    assert kinds(running["messages"][-1])[-1] == "dynamic-tool"
    assert plain(state) == plain(await stored_state(page))
    assert (state["toolCalls"], state["errors"]) == ([], [])


async def test_a_reply_that_is_stopped_in_mid_call_shows_no_running_tool(
    page: Page, fake_model: FakeModel, tool_servers: WaitingToolServers
) -> None:
    await page.open(id="here", automatic=True)
    await searching(page, fake_model, tool_servers)
    await page.fetch(
        "/api/chat/here/stop",
        method="POST",
        headers={"content-type": "application/json"},
        body="{}",
    )
    state = await page.until(status="ready", text="output-error")
    history = await stored_state(page)

    assert plain(state)[-1]["errorText"].startswith("The call was interrupted")
    await page.validate(history["messages"])
