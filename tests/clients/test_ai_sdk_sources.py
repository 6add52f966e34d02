"""``useChat``: sources, and calls of tools that the service runs."""

from typing import Any

from domain.model.message import SourcePart, ToolResultPart
from domain.model.piece import Piece, SourcePiece, StepPiece, ToolCallPiece, ToolResultPiece
from tests.support.fake_model import FakeModel, ModelReply
from tests.support.use_chat_page import Page, State, kinds, stored_state

GUIDE = SourcePart(id="s1", title="A guide", url="https://a.example/guide", excerpt="Once upon")
NOTES = SourcePart(id="s2", title="Notes")


def our_call(arguments: str, call_id: str = "ours") -> ToolCallPiece:
    return ToolCallPiece(call_id=call_id, name="search", arguments=arguments, server="library")


def result(output: str, call_id: str = "ours", *, failed: bool = False) -> ToolResultPiece:
    return ToolResultPiece(ToolResultPart(call_id=call_id, output=output, failed=failed))


BEFORE_RESULT: tuple[Piece, ...] = (
    SourcePiece(GUIDE),
    SourcePiece(NOTES),
    our_call('{"words":'),
    our_call('"peaks"}'),
)
AFTER_RESULT: tuple[Piece, ...] = (
    result('{"found":2}'),
    StepPiece(),
    our_call("{oh", "broken"),
    result('"Not JSON"', "broken", failed=True),
    StepPiece(),
)


def plain(state: State) -> list[dict[str, Any]]:
    """The parts of the last message without members that only a stream has."""
    parts: list[dict[str, Any]] = state["messages"][-1]["parts"]
    return [
        {name: value for name, value in part.items() if name not in ("id", "rawInput")}
        for part in parts
    ]


async def searching(page: Page, fake_model: FakeModel) -> ModelReply:
    """A reply that waits for the result of a tool that the service runs."""
    await page.send("How high?")
    model_reply = await fake_model.next_reply()
    for piece in BEFORE_RESULT:
        model_reply.send(piece)  # type: ignore[arg-type]
    await page.until(status="streaming", text='"input-available"')
    return model_reply


async def completed(page: Page, model_reply: ModelReply) -> State:
    for piece in AFTER_RESULT:
        model_reply.send(piece)  # type: ignore[arg-type]
    model_reply.send_text("Very [1]")
    model_reply.finish()
    return await page.until(status="ready", text="Very")


async def test_sources_and_calls_are_parts_of_the_message(
    page: Page, fake_model: FakeModel
) -> None:
    await page.open(automatic=True)
    state = await completed(page, await searching(page, fake_model))
    history = await stored_state(page)

    assert kinds(state["messages"][-1]) == [
        *("step-start", "source-url", "source-document", "dynamic-tool"),
        *("step-start", "dynamic-tool", "step-start", "text"),
    ]
    assert (state["toolCalls"], state["errors"], fake_model.call_count) == ([], [], 1)
    assert plain(history) == plain(state)
    await page.validate(history["messages"])


async def test_a_reload_in_mid_call_shows_the_same(page: Page, fake_model: FakeModel) -> None:
    await page.open(id="here", automatic=True)
    model_reply = await searching(page, fake_model)
    await page.open(
        id="here", messages=(await stored_state(page))["messages"], resume=True, automatic=True
    )
    running = await page.until(status="streaming", text='"input-available"')
    state = await completed(page, model_reply)

    assert kinds(running["messages"][-1])[-1] == "dynamic-tool"
    assert plain(state) == plain(await stored_state(page))
    assert (state["toolCalls"], state["errors"]) == ([], [])


async def test_a_reply_that_is_stopped_in_mid_call_shows_no_running_tool(
    page: Page, fake_model: FakeModel
) -> None:
    await page.open(id="here", automatic=True)
    await searching(page, fake_model)
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
