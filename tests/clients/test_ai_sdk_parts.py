"""``useChat``: reasoning, client-side tools, and a history equal to what was streamed."""

from typing import Any

import pytest

from domain.model.message import FinishReason, Role, ToolResultPart
from domain.model.piece import ReasoningPiece, ToolCallPiece
from tests.support.fake_model import FakeModel, ModelReply
from tests.support.use_chat_page import (
    Page,
    State,
    complete_reply,
    exchange,
    kinds,
    start_exchange,
    stored_state,
)

ONLY_7 = pytest.mark.parametrize("major", ["7"], indirect=True)
ASKED = {"city": "Helsinki"}


def call(name: str = "call_1", arguments: str = '{"city": "Helsinki"}') -> ToolCallPiece:
    return ToolCallPiece(call_id=name, name="weather", arguments=arguments)


async def wait_for_tool(page: Page, fake_model: FakeModel, *calls: ToolCallPiece) -> State:
    """The page after a reply that ended with a tool call."""
    model_reply = await start_exchange(page, fake_model, "How is the weather?", "I look")
    for tool_call in calls or (call("call_1", '{"city": '), call("call_1", '"Helsinki"}')):
        model_reply.send(tool_call)
    model_reply.finish(FinishReason.TOOL_CALLS)
    return await page.until(status="ready", text="Helsinki")


async def answer(page: Page, **output: Any) -> None:
    result = output or {"output": {"sky": "clear"}}
    await page.answer_tool(tool="weather", toolCallId="call_1", **result)


def results(model_reply: ModelReply) -> list[ToolResultPart]:
    """The tool results in the model's prompt."""
    replies = [message for message in model_reply.prompt.messages if message.role is Role.ASSISTANT]
    return [
        part for message in replies for part in message.parts if isinstance(part, ToolResultPart)
    ]


def plain(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The message's parts without members that only a stream has, such as part ids."""
    return [
        {name: value for name, value in part.items() if name != "id"} for part in message["parts"]
    ]


async def test_a_client_side_tool_continues_the_same_message(
    page: Page, fake_model: FakeModel
) -> None:
    await page.open(automatic=True)
    waiting = await wait_for_tool(page, fake_model)
    await answer(page)
    model_reply = await complete_reply(page, fake_model, "It is clear")
    state = await page.state()

    assert waiting["toolCalls"] == ["call_1"]
    assert results(model_reply) == [ToolResultPart(call_id="call_1", output='{"sky":"clear"}')]
    assert len(state["messages"]) == 2
    assert kinds(state["messages"][-1]) == [
        *("step-start", "text", "tool-weather", "step-start", "text"),
    ]
    assert state["errors"] == []
    assert state["toolCalls"] == ["call_1"]


async def test_a_page_runs_its_tools_by_itself(page: Page, fake_model: FakeModel) -> None:
    await page.open(automatic=True, tools={"weather": "clear"})
    await page.send("How is the weather?")
    asking = await fake_model.next_reply()
    for tool_call in (call("call_1"), call("call_2")):
        asking.send(tool_call)
    asking.finish(FinishReason.TOOL_CALLS)
    model_reply = await complete_reply(page, fake_model, "It is clear")
    state = await page.state()

    assert state["toolCalls"] == ["call_1", "call_2"]
    assert sorted(one.call_id for one in results(model_reply)) == ["call_1", "call_2"]
    assert plain((await stored_state(page))["messages"][-1]) == plain(state["messages"][-1])
    assert state["errors"] == []


async def test_a_reply_with_tools_can_be_regenerated_and_its_question_edited(
    page: Page, fake_model: FakeModel
) -> None:
    await page.open(automatic=True, tools={"weather": "clear"})
    await page.send("How is the weather?")
    for answer_text in ("It is clear", "Still clear"):
        asking = await fake_model.next_reply()
        asking.send(call())
        asking.finish(FinishReason.TOOL_CALLS)
        await complete_reply(page, fake_model, answer_text)
        if answer_text != "Still clear":
            await page.regenerate()
    state = await page.state()
    question = state["messages"][0]["id"]
    await page.send("And the sea?", messageId=question)
    edited = await complete_reply(page, fake_model, "Calm")

    assert kinds(state["messages"][-1]) == ["step-start", "tool-weather", "step-start", "text"]
    assert results(edited) == []
    assert len((await stored_state(page))["messages"]) == 2


async def test_the_history_equals_the_streamed_message(page: Page, fake_model: FakeModel) -> None:
    await page.open(automatic=True)
    await wait_for_tool(page, fake_model)
    waiting = await stored_state(page)
    await answer(page)
    await complete_reply(page, fake_model, "It is clear")
    state, history = await page.state(), await stored_state(page)

    await page.validate(history["messages"])
    await page.validate(waiting["messages"])
    assert plain(history["messages"][-1]) == plain(state["messages"][-1])
    assert waiting["messages"][-1]["parts"][-1]["state"] == "input-available"


async def test_a_failed_tool_is_reported_as_failed(page: Page, fake_model: FakeModel) -> None:
    await page.open(automatic=True)
    await wait_for_tool(page, fake_model)
    await answer(page, state="output-error", errorText="No network")
    model_reply = await complete_reply(page, fake_model, "I cannot tell")
    state, history = await page.state(), await stored_state(page)

    failed = ToolResultPart(call_id="call_1", output='"No network"', failed=True)
    assert results(model_reply) == [failed]
    assert plain(history["messages"][-1]) == plain(state["messages"][-1])
    await page.validate(history["messages"])


@ONLY_7
async def test_one_message_can_call_tools_twice(page: Page, fake_model: FakeModel) -> None:
    await page.open(automatic=True)
    await wait_for_tool(page, fake_model)
    await answer(page)
    model_reply = await fake_model.next_reply()
    model_reply.send(call("call_2", '{"city": "Turku"}'))
    model_reply.finish(FinishReason.TOOL_CALLS)
    await page.until(status="ready", text="Turku")
    await page.answer_tool(tool="weather", toolCallId="call_2", output="rain")
    model_reply = await complete_reply(page, fake_model, "Clear, and rain")

    assert [result.call_id for result in results(model_reply)] == ["call_1", "call_2"]
    assert plain((await stored_state(page))["messages"][-1]) == plain(
        (await page.state())["messages"][-1]
    )


async def test_a_reload_while_a_message_continues_shows_all_of_it(
    page: Page, fake_model: FakeModel
) -> None:
    await page.open(id="here", automatic=True)
    await wait_for_tool(page, fake_model)
    await answer(page)
    model_reply = await fake_model.next_reply()
    model_reply.send_text("It is")
    await page.until(status="streaming", text="It is")
    await page.open(
        id="here", messages=(await stored_state(page))["messages"], resume=True, automatic=True
    )
    await page.until(status="streaming", text="It is")
    model_reply.send_text(" clear")
    model_reply.finish()
    state = await page.until(status="ready", text="It is clear")

    assert plain(state["messages"][-1]) == plain((await stored_state(page))["messages"][-1])
    assert state["toolCalls"] == []
    assert state["errors"] == []


@ONLY_7
async def test_unexpected_tool_results_are_rejected_and_change_nothing(
    page: Page, fake_model: FakeModel
) -> None:
    await page.open(automatic=True)
    state = await wait_for_tool(page, fake_model)
    before = await stored_state(page)
    invented = {"type": "tool-weather", "toolCallId": "call_9", "state": "output-available"}
    mine = state["messages"][-1]
    await page.show(
        [
            state["messages"][0],
            {**mine, "parts": [*mine["parts"], {**invented, "input": {}, "output": "rain"}]},
        ]
    )
    await answer(page)
    refused = await page.until(status="error")

    assert "These tool results do not match the open tool calls." in refused["error"]
    assert refused["requests"][-1]["status"] == 409
    assert await stored_state(page) == before


async def test_reasoning_is_a_separate_part(page: Page, fake_model: FakeModel) -> None:
    await page.open()
    await page.send("Why?")
    model_reply = await fake_model.next_reply()
    model_reply.send(ReasoningPiece("Let me "))
    model_reply.send(ReasoningPiece("see"))
    model_reply.send_text("Because")
    model_reply.finish()
    state = await page.until(status="ready", text="Because")
    history = await stored_state(page)

    assert kinds(state["messages"][-1]) == ["step-start", "reasoning", "text"]
    assert state["messages"][-1]["parts"][1]["text"] == "Let me see"
    assert plain(history["messages"][-1]) == plain(state["messages"][-1])
    await page.validate(history["messages"])


@ONLY_7
async def test_a_chat_can_continue_without_tool_results(page: Page, fake_model: FakeModel) -> None:
    await page.open()
    await wait_for_tool(page, fake_model)
    model_reply = await exchange(page, fake_model, "Never mind", "As you wish")

    assert results(model_reply) == []
    assert len((await stored_state(page))["messages"]) == 4
