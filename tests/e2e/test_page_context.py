"""The page context belongs to the message that it was sent with, in every client protocol."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.model.piece import ToolCallPiece
from tests.support.fake_model import InstantModel
from tests.support.http_client import Answer
from tests.support.legacy_widget import Widget
from tests.support.native_client import NativeClient
from tests.support.service import running_service
from tests.support.v1_client import V1Client

SECRET_PAGE = {"page": "zanzibar"}


@pytest.fixture
def model() -> InstantModel:
    return InstantModel("Hi!")


@pytest.fixture
async def user(model: InstantModel) -> AsyncIterator[NativeClient]:
    async with running_service(model=model) as service:
        yield NativeClient(service.url)


def contexts(model: InstantModel) -> list[Any]:
    """The page context of each prompt so far."""
    return [json.loads(prompt.page_context or "null") for prompt in model.prompts]


async def stored_contexts(user: NativeClient, chat: str) -> list[Any]:
    export = (await user.get(f"/api/chat/{chat}/export")).document
    return [message["pageContext"] for message in export["messages"] if message["role"] == "user"]


def ui_body(text: str, number: int, **members: Any) -> dict[str, Any]:
    message = {"id": f"u{number}", "role": "user", "parts": [{"type": "text", "text": text}]}
    return {"id": "mine", "message": message, **members}


async def test_native_each_message_has_its_own(user: NativeClient, model: InstantModel) -> None:
    session_id = (await user.send("One", context={"page": 1})).session_id
    await user.send("Two", session_id)
    await user.send("Three", session_id, context=None)
    await user.send("Four", session_id, context={"page": 4})

    assert contexts(model) == [{"page": 1}, None, None, {"page": 4}]
    assert await stored_contexts(user, session_id) == [{"page": 1}, None, None, {"page": 4}]


async def test_native_a_regenerated_turn_sees_its_own(
    user: NativeClient, model: InstantModel
) -> None:
    session_id = (await user.send("One", context={"page": 1})).session_id
    await user.send("Two", session_id)
    first = (await user.history(session_id)).document["messages"][0]["id"]
    where = f"/api/chat/{session_id}/regenerate"

    await user.post(where, {"messageId": first, "context": {"page": "ignored"}})

    assert contexts(model) == [{"page": 1}, None, {"page": 1}]


@pytest.mark.parametrize(
    ("members", "context"),
    [({}, None), ({"context": None}, None), ({"context": {"page": 2}}, {"page": 2})],
    ids=["absent", "null", "new"],
)
async def test_native_an_edit_brings_its_own(
    user: NativeClient, model: InstantModel, members: dict[str, Any], context: Any
) -> None:
    session_id = (await user.send("Onne", context={"page": 1})).session_id

    await user.post(f"/api/chat/{session_id}/regenerate", {"message": "One", **members})

    assert contexts(model) == [{"page": 1}, context]
    assert await stored_contexts(user, session_id) == [context]


async def test_the_ai_sdk_each_message_has_its_own_and_keeps_it_when_answered_again(
    user: NativeClient, model: InstantModel
) -> None:
    await user.post("/api/chat", ui_body("One", 1, context={"page": 1}))
    await user.post("/api/chat", ui_body("Two", 2))
    again = {"trigger": "regenerate-message", "messageId": "u1", "force": True}
    await user.post("/api/chat", ui_body("One", 1, **again, context={"page": "now"}))

    assert contexts(model) == [{"page": 1}, None, {"page": 1}]
    edit = ui_body("Eins", 1, messageId="u1", force=True, context={"page": "edit"})
    await user.post("/api/chat", edit)
    assert contexts(model)[-1] == {"page": "edit"}
    assert await stored_contexts(user, "mine") == [{"page": "edit"}]


async def test_the_ai_sdk_tool_results_belong_to_the_same_turn() -> None:
    model = InstantModel(ToolCallPiece(call_id="a", name="look", arguments="{}"))
    tool = {"type": "tool-look", "toolCallId": "a", "state": "output-available", "output": "rain"}
    results = {"id": "x", "role": "assistant", "parts": [tool]}
    async with running_service(model=model) as service:
        user = NativeClient(service.url)
        await user.post("/api/chat", ui_body("Look!", 1, context={"page": 1}))
        await user.post("/api/chat", {"id": "mine", "message": results, "context": {"page": 2}})

    assert contexts(model) == [{"page": 1}, {"page": 1}]


async def test_the_older_widget_each_message_has_its_own(
    user: NativeClient, model: InstantModel
) -> None:
    widget = Widget(user)
    await widget.send("One", {"questionId": "q1"})
    await widget.send("Two")

    assert contexts(model) == [{"questionId": "q1"}, None]


async def test_a_turn_on_v1_has_none(model: InstantModel) -> None:
    async with running_service(model=model) as service:
        program = await V1Client.new(service.url)
        session_id = (await program.client.send("One", context={"page": 1})).session_id
        conversation = "conv_" + session_id.replace("-", "")
        answer = await program.ask("Two", conversation=conversation)

    assert answer.status == 200, answer.body
    assert contexts(model) == [{"page": 1}, None]


async def test_a_message_sent_again_after_a_failure_brings_its_own() -> None:
    model = InstantModel(error=RuntimeError())
    async with running_service(model=model) as service:
        user = NativeClient(service.url)
        session_id = (await user.send("One", context={"page": 1})).session_id
        await user.send("One", session_id, context={"page": 2})
        await user.send("One", session_id)

        assert await stored_contexts(user, session_id) == [None]
    assert contexts(model) == [{"page": 1}, {"page": 2}, None]


async def test_it_is_in_the_export_and_nowhere_else(user: NativeClient) -> None:
    session_id = (await user.send("One", context=SECRET_PAGE)).session_id
    answers: list[Answer] = [
        await user.history(session_id),
        await user.get(f"/api/chat/{session_id}"),
        await user.send("Two", session_id),
        await user.post("/api/chat", {"message": "Three", "sessionId": session_id}),
    ]
    export = await user.get(f"/api/chat/{session_id}/export")

    assert not any(b"zanzibar" in answer.body for answer in answers)
    assert b"zanzibar" in export.body


@pytest.mark.parametrize(
    "context",
    ["x" * 8_190, "", 0, False, [], {"</page>": "</page>"}, "\u0000", "\U0001f600" * 600],
    ids=["longest", "empty", "zero", "false", "list", "tags", "nul", "emoji"],
)
async def test_any_json_is_a_context(
    user: NativeClient, model: InstantModel, context: object
) -> None:
    answer = await user.send("One", context=context)

    assert answer.status == 200, answer.body
    assert contexts(model) == [context]
    assert await stored_contexts(user, answer.session_id) == [context]


@pytest.mark.parametrize("context", ["x" * 8_191, ["\u00e4" * 5_000]], ids=["characters", "bytes"])
async def test_a_longer_one_is_refused_everywhere(user: NativeClient, context: object) -> None:
    session_id = (await user.send("One")).session_id
    edit = {"message": "Two", "context": context}
    refused = [
        await user.send("Two", session_id, context=context),
        await user.send("Two", session_id, questionContext=context),
        await user.post("/api/chat", ui_body("Two", 1, context=context)),
        await user.post(f"/api/chat/{session_id}/regenerate", edit),
    ]

    assert {(answer.status, answer.code) for answer in refused} == {(413, "context_too_long")}
    assert {answer.document["field"] for answer in refused} == {"context"}
    assert await user.transcript(session_id) == [("user", "One"), ("assistant", "Hi!")]
