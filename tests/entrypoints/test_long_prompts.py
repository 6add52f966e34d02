"""How much of a conversation is loaded for a prompt."""

import pytest
from attrs import evolve

from domain.model.budget import Budget
from domain.model.conversation import Conversation
from domain.model.errors import InvalidInput
from domain.model.identifiers import MessageId
from domain.model.message import FinishReason, Role, TextPart, Usage
from domain.service.item_editing import NewItem, append_items
from domain.service.turn_lifecycle import finish, interrupt
from ports.language_model import (
    ContentFiltered,
    ContextExceeded,
    MalformedStream,
    ModelBusy,
    ModelError,
    ModelRejectedCredentials,
    ModelRejectedRequest,
    ModelTimedOut,
    ModelUnavailable,
)
from tests.support.builders import (
    ID,
    OWNER,
    a_conversation,
    after_turns,
    pieces_of,
    texts_of,
    turn_id,
    with_answer,
    with_question,
)
from tests.support.clocks import NOON
from tests.support.fake_model import InstantModel
from tests.support.harness import a_harness

FAILURES: list[ModelError] = [
    ContentFiltered(),
    ContextExceeded(),
    MalformedStream(),
    ModelBusy(),
    ModelError(),
    ModelRejectedCredentials(),
    ModelRejectedRequest(),
    ModelTimedOut(),
    ModelUnavailable(),
]


def with_an_unanswered_question(conversation: Conversation) -> Conversation:
    return interrupt(with_question(conversation, "Never mind.", 900), turn_id(900), [], NOON)


@pytest.mark.parametrize(
    "before", [after_turns(150), with_an_unanswered_question(after_turns(150))]
)
async def test_a_budget_above_what_is_at_hand_loads_more(before: Conversation) -> None:
    model = InstantModel("Hi!")
    harness = a_harness(model, budget=Budget(tokens=10_000_000, reply_tokens=64))
    await harness.store.create(OWNER, before)

    await harness.whole_turn(await harness.send("And now?", session_id=ID))

    sent = [message.text for message in model.prompts[0].messages]
    assert sent == [*texts_of(before), "And now?"]


async def test_a_budget_below_what_is_at_hand_loads_nothing_more() -> None:
    model = InstantModel("Hi!")
    harness = a_harness(model, budget=Budget(tokens=600, reply_tokens=64))
    await harness.store.create(OWNER, after_turns(150))

    await harness.whole_turn(await harness.send("And now?", session_id=ID))

    assert 1 < len(model.prompts[0].messages) < 200
    assert None not in harness.store.loads


async def test_instructions_that_were_not_loaded_are_in_the_prompt() -> None:
    model = InstantModel("Hi!")
    harness = a_harness(model, budget=Budget(tokens=600, reply_tokens=64))
    rule = NewItem(id=MessageId("rule"), role=Role.SYSTEM, parts=(TextPart("Rhyme."),))
    conversation = append_items(a_conversation(), [rule], NOON)
    for number in range(1, 151):
        conversation = with_answer(with_question(conversation, number=number), number=number)
    await harness.store.create(OWNER, conversation)

    await harness.whole_turn(await harness.send("And now?", session_id=ID))

    assert "Rhyme." in model.prompts[0].system


async def test_what_the_model_no_longer_sees_is_not_loaded() -> None:
    model = InstantModel("Hi!")
    harness = a_harness(model)
    await harness.store.create(OWNER, evolve(after_turns(150), working_memory_from=291))

    started = await harness.send("And now?", session_id=ID)
    loads = [*harness.store.loads]
    await harness.whole_turn(started)

    assert len(model.prompts[0].messages) == 11
    assert started.conversation.earlier == 290
    assert None not in loads


LONG = "word " * 1_300
SMALL = Budget(tokens=2_300, reply_tokens=256)


def with_reported_replies() -> Conversation:
    """Six turns; the model's server has counted a quarter of what is estimated at first."""
    conversation, words = a_conversation(), 0
    for number in range(1, 7):
        conversation = with_question(conversation, "word " * 60, number)
        words += 60
        usage = Usage(input_tokens=60 + words)
        pieces = pieces_of("Yes.")
        conversation = finish(
            conversation, turn_id(number), pieces, NOON, reason=FinishReason.STOP, usage=usage
        )
    return conversation


async def test_a_message_is_not_refused_if_the_conversation_itself_shows_that_it_fits() -> None:
    harness = a_harness(budget=SMALL)
    await harness.store.create(OWNER, with_reported_replies())

    await harness.whole_turn(await harness.send(LONG, session_id=ID))
    with pytest.raises(InvalidInput, match="too long"):
        await a_harness(budget=SMALL).send(LONG)
