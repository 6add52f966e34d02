"""Memory is bounded: the conversations that were idle for longest are evicted whole."""

from datetime import timedelta

import pytest
from attrs import evolve

from adapters.in_memory.conversation_store import InMemoryConversationStore, estimated_bytes
from adapters.in_memory.turn_log import InMemoryTurnLog
from domain.model.conversation import Conversation
from domain.model.errors import ConversationFull, ConversationNotFound
from domain.model.identifiers import ConversationRef, SessionId, TurnId, TurnRef
from domain.model.limits import MAX_CONVERSATION_BYTES
from domain.model.message import Part, ReasoningPart, ToolCallPart, ToolResultPart, UnknownPart
from ports.errors import TurnLogNotFound
from tests.support.builders import (
    OWNER,
    REF,
    STRANGER,
    a_conversation,
    after_turns,
    turn_id,
    with_question,
    with_user_message,
)
from tests.support.clocks import ManualClock

HOUR = timedelta(hours=1)


def named(number: int) -> SessionId:
    return SessionId(f"00000000-0000-4000-8000-{number:012x}")


def one(number: int) -> Conversation:
    return with_question(a_conversation(id=named(number)), "x" * 1_000, number)


class Memory:
    """A store with room for so many conversations."""

    def __init__(self, room_for: int) -> None:
        clock = ManualClock()
        self.log = InMemoryTurnLog(clock=clock)
        most = room_for * estimated_bytes(one(1))
        self.store = InMemoryConversationStore(clock=clock, log=self.log, max_bytes=most)

    async def kept(self, *numbers: int) -> list[int]:
        found = []
        for number in numbers:
            try:
                await self.store.load(ConversationRef(OWNER, named(number)))
            except ConversationNotFound:
                continue
            found.append(number)
        return found


async def filled(room_for: int) -> Memory:
    memory = Memory(room_for)
    for number in range(1, room_for + 1):
        await memory.store.create(OWNER, one(number))
    return memory


async def test_the_longest_idle_conversation_leaves_first() -> None:
    memory = await filled(3)
    assert await memory.kept(1, 2, 3) == [1, 2, 3]

    await memory.store.create(OWNER, one(4))

    assert await memory.kept(1, 2, 3, 4) == [2, 3, 4]


async def test_a_conversation_that_is_used_is_not_idle() -> None:
    memory = await filled(3)
    await memory.store.load(ConversationRef(OWNER, named(1)))
    await memory.store.update(
        ConversationRef(OWNER, named(2)), lambda conversation: evolve(conversation, locale="fi")
    )

    await memory.store.create(OWNER, one(4))

    assert await memory.kept(1, 2, 3, 4) == [1, 2, 4]


async def test_another_owners_read_does_not_count_as_use() -> None:
    memory = await filled(3)
    with pytest.raises(ConversationNotFound):
        await memory.store.load(ConversationRef(STRANGER, named(1)))

    await memory.store.create(OWNER, one(4))

    assert await memory.kept(1) == []


async def test_the_log_leaves_with_its_conversation() -> None:
    memory = await filled(2)
    before = await memory.log.silence(TurnRef(ConversationRef(OWNER, named(1)), turn_id(1)))

    await memory.store.create(OWNER, one(3))

    assert before == timedelta()
    with pytest.raises(TurnLogNotFound):
        await memory.log.silence(TurnRef(ConversationRef(OWNER, named(1)), turn_id(1)))
    assert (
        await memory.log.silence(TurnRef(ConversationRef(OWNER, named(2)), TurnId(turn_id(2))))
        == timedelta()
    )


async def test_what_was_forgotten_makes_room() -> None:
    memory = await filled(3)
    await memory.store.forget(ConversationRef(OWNER, named(3)))

    await memory.store.create(OWNER, one(4))

    assert await memory.kept(1, 2, 3, 4) == [1, 2, 4]


async def test_a_conversation_that_grows_makes_others_leave_and_never_itself() -> None:
    memory = await filled(3)

    for _ in range(10):
        await memory.store.update(
            ConversationRef(OWNER, named(1)),
            lambda conversation: with_user_message(conversation, "x" * 1_000),
        )

    assert await memory.kept(1, 2, 3) == [1]


async def test_a_conversation_at_its_bound_takes_no_further_turn() -> None:
    memory = await filled(200)
    long = with_user_message(a_conversation(id=named(900)), "x" * (MAX_CONVERSATION_BYTES - 1_026))
    await memory.store.create(OWNER, long)

    with pytest.raises(ConversationFull):
        await memory.store.update(ConversationRef(OWNER, named(900)), with_question)

    assert (await memory.store.load(ConversationRef(OWNER, named(900)))).turn is None


async def test_a_conversation_has_room_for_a_thousand_short_messages() -> None:
    memory = await filled(2_000)
    await memory.store.create(OWNER, after_turns(500))

    await memory.store.update(REF, with_question)

    assert (await memory.store.load(REF)).open_turn is not None


async def test_a_conversation_that_became_shorter_makes_room() -> None:
    memory = await filled(3)
    ref = ConversationRef(OWNER, named(1))
    await memory.store.update(ref, lambda before: with_user_message(before, "x" * 1_000))
    assert await memory.kept(1, 2, 3) == [1, 3]

    await memory.store.update(ref, lambda _: one(1))
    await memory.store.create(OWNER, one(2))

    assert await memory.kept(1, 2, 3) == [1, 2, 3]


@pytest.mark.parametrize(
    ("part", "size"),
    [
        (ReasoningPart("x" * 5_000), 5_000),
        (ToolCallPart(call_id="c", name="n", arguments="x" * 5_000), 5_002),
        (ToolResultPart(call_id="c", output="x" * 5_000), 5_001),
        (UnknownPart("x" * 5_000), 5_000),
    ],
)
def test_text_of_every_kind_counts(part: Part, size: int) -> None:
    light = estimated_bytes(with_user_message(a_conversation(), parts=()))

    assert estimated_bytes(with_user_message(a_conversation(), parts=(part,))) - light == size + 256


def test_the_size_is_counted_in_bytes() -> None:
    light = estimated_bytes(a_conversation())
    heavy = a_conversation(summary="ä", metadata={"ä": "\ud800"})

    assert estimated_bytes(heavy) - light == 2 + 2 + 3
