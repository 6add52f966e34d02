"""Requests that are sent once more: after a failure, after a death, at the same time."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from domain.model.errors import IdempotencyKeyReused
from domain.model.identifiers import ConversationRef
from domain.model.message import Role, TextPart, ToolCallPart, ToolResultPart
from domain.model.piece import ModelFinished, Piece
from domain.model.prompt import Prompt
from domain.model.turn import IdempotencyKey, Outcome, TurnPolicy
from domain.service import item_editing as adding
from domain.service.item_editing import NewItem
from entrypoints.usecases.create_response import CreateResponse
from entrypoints.usecases.edit_items import EditItems, InputItem, ResponseRequest
from entrypoints.usecases.open_turn import Started
from ports.client_keys import ClientKeys
from ports.language_model import ModelUnavailable
from tests.support.builders import OWNER, a_conversation, a_new_turn, question_id, texts_of, turn_id
from tests.support.clocks import ManualClock
from tests.support.fakes import InstantModel
from tests.support.harness import ADDRESS, Harness, a_harness

KEY = IdempotencyKey(digest=b"key", body_digest=b"body")
CALL = InputItem(
    role=Role.ASSISTANT, parts=(ToolCallPart(call_id="a", name="look", arguments="{}"),)
)
RESULT = InputItem(role=Role.ASSISTANT, parts=(ToolResultPart(call_id="a", output="rain"),))


class FailingOnce(InstantModel):
    """Fails before its first piece when it is asked for the ``failing``-th time."""

    def __init__(self, failing: int = 1) -> None:
        super().__init__("Hi!")
        self._failing = failing

    async def reply(self, prompt: Prompt) -> AsyncGenerator[Piece | ModelFinished, None]:
        async for said in super().reply(prompt):
            if len(self.prompts) == self._failing:
                raise ModelUnavailable
            yield said


def words(text: str) -> InputItem:
    return InputItem(role=Role.USER, parts=(TextPart(text),))


async def open_turn_with_items(
    harness: Harness,
    *inputs: InputItem,
    after: Started | None = None,
    key: IdempotencyKey | None = None,
) -> Started:
    new = ResponseRequest(
        inputs=inputs,
        address=ADDRESS,
        session_id=after.conversation.id if after else None,
        after_turn=after.turn.number if after else None,
        idempotency_key="key" if key else None,
        idempotency=key,
    )
    return await harness.container.resolve(CreateResponse)(OWNER, new)


async def test_a_first_request_that_failed_is_answered_when_it_comes_again() -> None:
    harness = a_harness(FailingOnce())
    first = await open_turn_with_items(harness, words("One"), key=KEY)
    failed = await harness.end_of(first)
    again = await open_turn_with_items(harness, words("One"), key=KEY)
    answered = await harness.end_of(again)
    third = await open_turn_with_items(harness, words("One"), key=KEY)

    assert (failed.outcome, answered.outcome) == (Outcome.FAILED, Outcome.FINISHED)
    assert first.conversation.id == again.conversation.id == third.conversation.id
    assert third.turn.id == again.turn.id
    assert texts_of(await harness.stored(first.conversation.id)) == ["One", "Hi!"]


async def test_a_first_request_whose_process_died_is_answered_when_it_comes_again() -> None:
    harness = a_harness(InstantModel("Hi!"), clock=ManualClock())
    keys: ClientKeys = harness.container.resolve(ClientKeys)
    session_id = keys.session_for_request(OWNER, "key")
    given = [NewItem(id=question_id(), role=Role.USER, parts=(TextPart("One"),))]
    dead = adding.open_turn_with_items(
        a_conversation(id=session_id), a_new_turn(idempotency=KEY), given
    )
    await harness.store.create(OWNER, dead)
    joined = await open_turn_with_items(harness, words("One"), key=KEY)
    harness.clock.advance(TurnPolicy().dead_after)
    again = await open_turn_with_items(harness, words("One"), key=KEY)
    await harness.end_of(again)

    assert joined.turn.id == turn_id() != again.turn.id
    assert texts_of(await harness.stored(session_id)) == ["One", "Hi!"]


async def test_parting_ways_twice_with_one_key_is_done_once() -> None:
    harness = a_harness(InstantModel("Hi!"))
    first = await open_turn_with_items(harness, words("One"))
    await harness.end_of(first)
    await harness.end_of(await open_turn_with_items(harness, words("Two"), after=first))
    both = await asyncio.gather(
        open_turn_with_items(harness, words("Else"), after=first, key=KEY),
        open_turn_with_items(harness, words("Else"), after=first, key=KEY),
    )
    later = await open_turn_with_items(harness, words("Else"), after=first, key=KEY)
    await harness.end_of(later)

    assert {one.conversation.id for one in (*both, later)} == {later.conversation.id}
    assert {one.turn.id for one in (*both, later)} == {later.turn.id}
    assert texts_of(await harness.stored(later.conversation.id)) == ["One", "Hi!", "Else", "Hi!"]


async def test_parting_ways_is_tried_again_after_a_failure() -> None:
    harness = a_harness(FailingOnce(3))
    first = await open_turn_with_items(harness, words("One"))
    await harness.end_of(first)
    await harness.end_of(await open_turn_with_items(harness, words("Two"), after=first))
    failed = await open_turn_with_items(harness, words("Else"), after=first, key=KEY)
    await harness.end_of(failed)
    again = await open_turn_with_items(harness, words("Else"), after=first, key=KEY)
    end = await harness.end_of(again)

    assert (again.conversation.id, end.outcome) == (failed.conversation.id, Outcome.FINISHED)
    assert texts_of(await harness.stored(again.conversation.id)) == ["One", "Hi!", "Else", "Hi!"]


async def test_a_first_request_that_others_followed_is_not_answered_again() -> None:
    harness = a_harness(FailingOnce(3))
    first = await open_turn_with_items(harness, words("One"), key=KEY)
    await harness.end_of(first)
    second = await open_turn_with_items(harness, words("Two"), after=first)
    await harness.end_of(second)
    with pytest.raises(IdempotencyKeyReused):
        await open_turn_with_items(harness, words("One"), key=KEY)
    await harness.end_of(await open_turn_with_items(harness, words("One"), after=second))

    with pytest.raises(IdempotencyKeyReused):
        await open_turn_with_items(harness, words("One"), key=KEY)


async def test_a_first_request_that_other_words_followed_is_not_added_behind_them() -> None:
    harness = a_harness(InstantModel(error=ModelUnavailable()))
    first = await open_turn_with_items(harness, words("One"), key=KEY)
    await harness.end_of(first)
    await harness.end_of(await open_turn_with_items(harness, words("Two"), after=first))

    with pytest.raises(IdempotencyKeyReused):
        await open_turn_with_items(harness, words("One"), key=KEY)


@pytest.mark.parametrize(
    "inputs",
    [
        (words("One"), CALL, RESULT),
        (CALL, RESULT, words("And?")),
        (words("One"), CALL, RESULT, words("And?"), words("Still there?")),
    ],
)
async def test_what_failed_and_is_put_in_again_is_there_once(inputs: tuple[InputItem, ...]) -> None:
    harness = a_harness(FailingOnce(2))
    first = await open_turn_with_items(harness, words("Hello?"))
    await harness.end_of(first)
    failed = await open_turn_with_items(harness, *inputs, after=first)
    await harness.end_of(failed)
    before = (await harness.stored(first.conversation.id)).messages
    await harness.end_of(await open_turn_with_items(harness, *inputs, after=failed))

    after = (await harness.stored(first.conversation.id)).messages
    assert [said.parts for said in after[:-1]] == [said.parts for said in before]
    assert after[-1].text == "Hi!"


async def test_leaving_out_the_last_turn_forgets_nothing_that_was_said_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    harness = a_harness(InstantModel("Hi!"))
    first = await open_turn_with_items(harness, words("One"))
    await harness.end_of(first)
    session_id, forget_if = first.conversation.id, harness.store.forget_if

    async def meanwhile(*arguments: object) -> None:
        await harness.end_of(await harness.send("Two", session_id=session_id))
        await forget_if(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(harness.store, "forget_if", meanwhile)
    await harness.container.resolve(EditItems).delete_turn(ConversationRef(OWNER, session_id), 1)

    assert texts_of(await harness.stored(session_id)) == ["Two", "Hi!"]
