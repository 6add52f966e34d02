"""The hook's state over several turns, as the hook gets it."""

from domain.model.identifiers import ConversationRef
from domain.model.message import TextPart
from domain.model.preparation import Preparation, Question
from domain.model.turn import Outcome
from entrypoints.usecases.carry_over import CarryOver
from entrypoints.usecases.open_turn import Started
from entrypoints.usecases.regenerate import RegenerateRequest
from ports.language_model import ModelUnavailable
from tests.support.builders import OWNER
from tests.support.fake_model import InstantModel
from tests.support.harness import PAYER, Harness, a_harness


class CountingHook:
    """Counts in its state how many questions it was asked before.

    Attributes:
        states: the state that it got with each question.
    """

    def __init__(self) -> None:
        self.states: list[str | None] = []

    async def prepare(self, question: Question) -> Preparation:
        self.states.append(question.state)
        return Preparation(changes_state=True, state=str(int(question.state or "0") + 1))


async def after_questions(harness: Harness, *texts: str) -> Started:
    """The last turn, which has ended, of a conversation with these questions."""
    started = await harness.send(texts[0])
    await harness.end_of(started)
    for text in texts[1:]:
        started = await harness.send(text, session_id=started.conversation.id)
        await harness.end_of(started)
    return started


async def test_another_process_goes_on_with_the_state() -> None:
    hook = CountingHook()
    harness = a_harness(InstantModel("Hi!"), hook=hook)
    session_id = (await after_questions(harness, "One", "Two")).conversation.id
    other = a_harness(InstantModel("Hi!"), hook=hook, beside=harness)

    await other.end_of(await other.send("Three", session_id=session_id))

    assert hook.states == [None, "1", "2"]
    assert (await harness.stored(session_id)).hook_state == "3"


async def test_a_repeated_turn_begins_with_the_same_state() -> None:
    hook = CountingHook()
    harness = a_harness(InstantModel("Hi!"), hook=hook)
    session_id = (await after_questions(harness, "One", "Two", "Three")).conversation.id
    question = (await harness.stored(session_id)).messages[2]
    again = RegenerateRequest(session_id=session_id, message_id=None, payer=PAYER)
    edit = RegenerateRequest(
        session_id=session_id, message_id=question.id, payer=PAYER, text=TextPart("Deux")
    )

    for request in (again, again, edit):
        await harness.end_of(await harness.regenerate(OWNER, request))

    assert hook.states == [None, "1", "2", "2", "2", "1"]
    assert (await harness.stored(session_id)).hook_state == "2"


async def test_a_turn_without_a_word_leaves_the_state() -> None:
    hook = CountingHook()
    failing = a_harness(InstantModel(error=ModelUnavailable()), hook=hook)
    started = await failing.send("One")
    end = await failing.end_of(started)
    working = a_harness(InstantModel("Hi!"), hook=hook, beside=failing)

    await working.end_of(await working.send("One", session_id=started.conversation.id))

    assert end.outcome is Outcome.FAILED
    assert hook.states == [None, None]
    assert (await working.stored(started.conversation.id)).hook_state == "1"


async def test_a_following_conversation_takes_the_state_along() -> None:
    hook = CountingHook()
    harness = a_harness(InstantModel("Hi!"), hook=hook)
    session_id = (await after_questions(harness, "One", "Two")).conversation.id

    following = await harness.container.resolve(CarryOver)(
        ConversationRef(OWNER, session_id), payer=PAYER
    )
    await harness.end_of(await harness.send("Three", session_id=following.id))

    assert hook.states == [None, "1", "2"]
    assert (await harness.stored(session_id)).hook_state == "2"
