"""Sending a message: which conversation it joins, and what that conversation keeps."""

import pytest
from attrs import evolve

from domain.model.conversation import RETENTION, UNUSED_RETENTION
from domain.model.errors import ConversationNotFound, TurnInProgress
from domain.model.identifiers import ConversationRef, MessageId
from domain.model.message import TextPart
from entrypoints.usecases.regenerate import RegenerateRequest
from tests.support.builders import ID, OTHER_ID, OWNER, STRANGER, texts_of
from tests.support.clocks import NOON
from tests.support.fake_model import EchoModel, FakeModel, InstantModel
from tests.support.harness import PAYER, a_harness


async def test_a_first_message_begins_a_conversation() -> None:
    harness = a_harness(InstantModel("Hi!"))

    started = await harness.send()
    await harness.whole_turn(started)

    stored = await harness.stored(started.conversation.id)
    assert not started.restarted
    assert texts_of(stored) == ["Hello?", "Hi!"]
    assert stored.retained_for == RETENTION


async def test_a_next_message_goes_on_with_its_conversation() -> None:
    harness = a_harness(EchoModel())
    first = await harness.send("One")
    await harness.whole_turn(first)

    second = await harness.send("Two", session_id=first.conversation.id)
    await harness.whole_turn(second)

    stored = await harness.stored(first.conversation.id)
    assert not second.restarted
    assert texts_of(stored) == ["One", "One ", "Two", "One / Two "]


async def test_an_unknown_session_id_creates_a_new_conversation_under_another_id() -> None:
    harness = a_harness()

    started = await harness.send(session_id=OTHER_ID)

    assert started.restarted
    assert started.conversation.id != OTHER_ID
    with pytest.raises(ConversationNotFound):
        await harness.stored(OTHER_ID)


async def test_another_owners_conversation_is_as_good_as_none() -> None:
    harness = a_harness()
    theirs = await harness.send()
    await harness.whole_turn(theirs)

    with pytest.raises(ConversationNotFound):
        await harness.history(ConversationRef(STRANGER, theirs.conversation.id), limit=10)
    again = RegenerateRequest(session_id=theirs.conversation.id, payer=PAYER)
    with pytest.raises(ConversationNotFound):
        await harness.regenerate(STRANGER, again)


async def test_the_language_is_kept_and_the_page_context_belongs_to_one_message() -> None:
    model = InstantModel("Hi!")
    harness = a_harness(model)
    first = await harness.send(page_context='{"page":1}', locales=["fi-FI", "en"])
    await harness.whole_turn(first)
    session_id = first.conversation.id
    for members in ({}, {"page_context": '{"page":2}', "locales": ["sv"]}, {}):
        await harness.whole_turn(await harness.send("More", session_id=session_id, **members))

    sent = [(prompt.page_context, prompt.locale) for prompt in model.prompts]
    assert sent == [
        ('{"page":1}', "fi"),
        (None, "fi"),
        ('{"page":2}', "sv"),
        (None, "sv"),
    ]


async def test_a_message_keeps_the_id_its_client_gave_it() -> None:
    harness = a_harness()

    started = await harness.send(message_id=MessageId("mine"))

    assert started.conversation.messages[0].id == "mine"


async def test_a_message_sent_again_under_its_id_takes_the_place_of_the_first() -> None:
    harness = a_harness(EchoModel())
    mine = MessageId("mine")
    first = await harness.send("Typo", message_id=mine)
    await harness.whole_turn(first)

    session_id = first.conversation.id
    await harness.whole_turn(await harness.send("Text", session_id=session_id, message_id=mine))

    assert texts_of(await harness.stored(session_id)) == ["Text", "Text "]


async def test_an_opened_conversation_welcomes_in_the_best_language_and_leaves_soon() -> None:
    harness = a_harness()

    opened = await harness.create_session(OWNER, payer=PAYER, locales=["de", "sv-FI"])

    stored = await harness.stored(opened.id)
    assert stored.locale == "sv"
    assert texts_of(stored) == ["Hej! Vad vill du veta?"]
    assert stored.expires_at == NOON + UNUSED_RETENTION


async def test_another_answer_takes_the_place_of_the_first() -> None:
    harness = a_harness(EchoModel())
    first = await harness.send("One")
    await harness.whole_turn(first)

    again = RegenerateRequest(session_id=first.conversation.id, payer=PAYER, text=TextPart("Two"))
    await harness.whole_turn(await harness.regenerate(OWNER, again))

    assert texts_of(await harness.stored(first.conversation.id)) == ["Two", "Two "]


async def test_history_is_read_page_by_page_from_the_newest() -> None:
    harness = a_harness(InstantModel("Hi!"))
    first = await harness.send("One")
    await harness.whole_turn(first)
    session_id = first.conversation.id
    await harness.whole_turn(await harness.send("Two", session_id=session_id))

    newest = await harness.history(ConversationRef(OWNER, session_id), limit=3)
    oldest = await harness.history(
        ConversationRef(OWNER, session_id), before=newest.page.next, limit=3
    )

    assert [message.text for message in newest.page.messages] == ["Hi!", "Two", "Hi!"]
    assert [message.text for message in oldest.page.messages] == ["One"]
    assert oldest.page.next is None


async def test_turns_of_different_conversations_run_at_once() -> None:
    fake_model = FakeModel()
    harness = a_harness(fake_model)
    first, second = await harness.send("One"), await harness.send("Two")

    with pytest.raises(TurnInProgress) as busy:
        await harness.send("Three", session_id=first.conversation.id)

    assert busy.value.turn_id == first.turn.id
    assert second.conversation.id not in (first.conversation.id, ID)


async def test_the_id_of_a_message_that_is_not_loaded_is_found() -> None:
    harness = a_harness(InstantModel("Hi!"))
    first = await harness.send("first", message_id=MessageId("mine"))
    await harness.end_of(first)
    session_id = first.conversation.id
    await harness.end_of(await harness.send("more", session_id=session_id))
    ref = ConversationRef(OWNER, session_id)
    await harness.store.update(ref, lambda stored: evolve(stored, working_memory_from=3))
    await harness.end_of(
        await harness.send("anew", session_id=session_id, message_id=MessageId("mine"))
    )

    assert texts_of(await harness.stored(session_id)) == ["anew", "Hi!"]
