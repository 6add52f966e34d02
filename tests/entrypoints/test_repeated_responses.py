"""Repeated requests for a response: after a failure, after a death, two at once."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from domain.model.errors import IdempotencyKeyReused, RequestAlreadyAnswered
from domain.model.identifiers import ConversationRef
from domain.model.message import Role, TextPart, ToolCallPart, ToolResultPart
from domain.model.piece import ModelFinished, ModelPiece
from domain.model.prompt import Prompt
from domain.model.turn import IdempotencyKey, Outcome, TurnPolicy
from domain.service.item_editing import NewItem, open_turn_with_items
from entrypoints.usecases.create_response import CreateResponse, InputItem, ResponseRequest
from entrypoints.usecases.edit_items import EditItems
from entrypoints.usecases.open_turn import Started
from ports.client_keys import ClientKeys
from ports.language_model import ModelUnavailable
from tests.support.builders import OWNER, a_conversation, a_new_turn, question_id, texts_of, turn_id
from tests.support.clocks import HastyClock
from tests.support.fake_model import InstantModel
from tests.support.harness import PAYER, Harness, a_harness

KEY = IdempotencyKey(digest=b"key", body_digest=b"body")
CALL = InputItem(
    role=Role.ASSISTANT, parts=(ToolCallPart(call_id="a", name="look", arguments="{}"),)
)
RESULT = InputItem(role=Role.ASSISTANT, parts=(ToolResultPart(call_id="a", output="rain"),))


class FailingOnce(InstantModel):
    """Fails before its first piece at its ``failing``-th prompt."""

    def __init__(self, failing: int = 1) -> None:
        super().__init__("Hi!")
        self._failing = failing

    async def reply(self, prompt: Prompt) -> AsyncGenerator[ModelPiece | ModelFinished, None]:
        async for piece in super().reply(prompt):
            if len(self.prompts) == self._failing:
                raise ModelUnavailable
            yield piece


def user_item(text: str) -> InputItem:
    return InputItem(role=Role.USER, parts=(TextPart(text),))


async def create_response(
    harness: Harness,
    *inputs: InputItem,
    after: Started | None = None,
    key: IdempotencyKey | None = None,
) -> Started:
    request = ResponseRequest(
        inputs=inputs,
        payer=PAYER,
        session_id=after.conversation.id if after else None,
        after_turn=after.turn.number if after else None,
        idempotency_key="key" if key else None,
        idempotency=key,
    )
    return await harness.container.resolve(CreateResponse)(OWNER, request)


async def test_a_first_request_that_failed_is_answered_when_it_comes_again() -> None:
    harness = a_harness(FailingOnce())
    first = await create_response(harness, user_item("One"), key=KEY)
    failed = await harness.end_of(first)
    again = await create_response(harness, user_item("One"), key=KEY)
    answered = await harness.end_of(again)
    third = await create_response(harness, user_item("One"), key=KEY)

    assert (failed.outcome, answered.outcome) == (Outcome.FAILED, Outcome.FINISHED)
    assert first.conversation.id == again.conversation.id == third.conversation.id
    assert third.turn.id == again.turn.id
    assert texts_of(await harness.stored(first.conversation.id)) == ["One", "Hi!"]


async def test_a_first_request_whose_process_died_is_answered_when_repeated() -> None:
    harness = a_harness(InstantModel("Hi!"), clock=HastyClock())
    keys: ClientKeys = harness.container.resolve(ClientKeys)
    session_id = keys.session_for_request(OWNER, "key")
    items = [NewItem(id=question_id(), role=Role.USER, parts=(TextPart("One"),))]
    dead = open_turn_with_items(a_conversation(id=session_id), a_new_turn(idempotency=KEY), items)
    await harness.store.create(OWNER, dead)
    joined = await create_response(harness, user_item("One"), key=KEY)
    harness.clock.advance(TurnPolicy().dead_after)
    again = await create_response(harness, user_item("One"), key=KEY)
    await harness.end_of(again)

    assert joined.turn.id == turn_id() != again.turn.id
    assert texts_of(await harness.stored(session_id)) == ["One", "Hi!"]


async def test_branching_twice_with_one_key_is_done_once() -> None:
    harness = a_harness(InstantModel("Hi!"))
    first = await create_response(harness, user_item("One"))
    await harness.end_of(first)
    await harness.end_of(await create_response(harness, user_item("Two"), after=first))
    both = await asyncio.gather(
        create_response(harness, user_item("Else"), after=first, key=KEY),
        create_response(harness, user_item("Else"), after=first, key=KEY),
    )
    later = await create_response(harness, user_item("Else"), after=first, key=KEY)
    await harness.end_of(later)

    assert {one.conversation.id for one in (*both, later)} == {later.conversation.id}
    assert {one.turn.id for one in (*both, later)} == {later.turn.id}
    assert texts_of(await harness.stored(later.conversation.id)) == ["One", "Hi!", "Else", "Hi!"]


async def test_branching_can_be_repeated_after_a_failure() -> None:
    harness = a_harness(FailingOnce(3))
    first = await create_response(harness, user_item("One"))
    await harness.end_of(first)
    await harness.end_of(await create_response(harness, user_item("Two"), after=first))
    failed = await create_response(harness, user_item("Else"), after=first, key=KEY)
    await harness.end_of(failed)
    again = await create_response(harness, user_item("Else"), after=first, key=KEY)
    end = await harness.end_of(again)

    assert (again.conversation.id, end.outcome) == (failed.conversation.id, Outcome.FINISHED)
    assert texts_of(await harness.stored(again.conversation.id)) == ["One", "Hi!", "Else", "Hi!"]


async def test_a_first_request_that_others_followed_is_not_answered_again() -> None:
    harness = a_harness(FailingOnce(3))
    first = await create_response(harness, user_item("One"), key=KEY)
    await harness.end_of(first)
    second = await create_response(harness, user_item("Two"), after=first)
    await harness.end_of(second)
    with pytest.raises(RequestAlreadyAnswered):
        await create_response(harness, user_item("One"), key=KEY)
    await harness.end_of(await create_response(harness, user_item("One"), after=second))

    with pytest.raises(RequestAlreadyAnswered):
        await create_response(harness, user_item("One"), key=KEY)


async def test_a_continuation_repeated_after_another_turn_begins_no_branch() -> None:
    model = InstantModel("Hi!")
    harness = a_harness(model)
    first = await create_response(harness, user_item("One"))
    await harness.end_of(first)
    second = await create_response(harness, user_item("Two"), after=first, key=KEY)
    await harness.end_of(second)
    await harness.end_of(await create_response(harness, user_item("Three"), after=second))

    with pytest.raises(RequestAlreadyAnswered):
        await create_response(harness, user_item("Two"), after=first, key=KEY)

    assert len(model.prompts) == 3


async def test_a_repeated_first_request_is_not_added_after_later_messages() -> None:
    harness = a_harness(InstantModel(error=ModelUnavailable()))
    first = await create_response(harness, user_item("One"), key=KEY)
    await harness.end_of(first)
    await harness.end_of(await create_response(harness, user_item("Two"), after=first))

    with pytest.raises(IdempotencyKeyReused):
        await create_response(harness, user_item("One"), key=KEY)


@pytest.mark.parametrize(
    "inputs",
    [
        (user_item("One"), CALL, RESULT),
        (CALL, RESULT, user_item("And?")),
        (user_item("One"), CALL, RESULT, user_item("And?"), user_item("Still there?")),
    ],
)
async def test_items_repeated_after_a_failure_are_stored_once(
    inputs: tuple[InputItem, ...],
) -> None:
    harness = a_harness(FailingOnce(2))
    first = await create_response(harness, user_item("Hello?"))
    await harness.end_of(first)
    failed = await create_response(harness, *inputs, after=first)
    await harness.end_of(failed)
    before = (await harness.stored(first.conversation.id)).messages
    await harness.end_of(await create_response(harness, *inputs, after=failed))

    after = (await harness.stored(first.conversation.id)).messages
    assert [message.parts for message in after[:-1]] == [message.parts for message in before]
    assert after[-1].text == "Hi!"


async def test_deleting_the_last_turn_forgets_no_message_added_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    harness = a_harness(InstantModel("Hi!"))
    first = await create_response(harness, user_item("One"))
    await harness.end_of(first)
    session_id, forget_if = first.conversation.id, harness.store.forget_if

    async def meanwhile(*arguments: object) -> None:
        await harness.end_of(await harness.send("Two", session_id=session_id))
        await forget_if(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(harness.store, "forget_if", meanwhile)
    await harness.container.resolve(EditItems).delete_turn(ConversationRef(OWNER, session_id), 1)

    assert texts_of(await harness.stored(session_id)) == ["Two", "Hi!"]
