"""Messages that replace an earlier one by its id, however far back it is."""

from tests.support.builders import OWNER, after_turns, question_id, texts_of
from tests.support.harness import a_harness

MORE_THAN_AT_HAND = 120


async def test_an_edit_finds_its_message_however_far_back_it_is() -> None:
    harness = a_harness()
    conversation = after_turns(MORE_THAN_AT_HAND)
    await harness.store.create(OWNER, conversation)
    started = await harness.send(
        "Anew", session_id=conversation.id, message_id=question_id(), is_edit=True
    )
    await harness.end_of(started)

    assert texts_of(await harness.stored(conversation.id)) == ["Anew", "Hi!"]


async def test_an_edit_of_a_message_that_never_arrived_is_a_new_message() -> None:
    harness = a_harness()
    conversation = after_turns(1)
    await harness.store.create(OWNER, conversation)
    named = question_id(9)
    started = await harness.send("New", session_id=conversation.id, message_id=named, is_edit=True)
    await harness.end_of(started)

    stored = await harness.stored(conversation.id)
    assert texts_of(stored) == ["question 1", "answer 1", "New", "Hi!"]
    assert stored.messages[2].id == named
