"""What has expired is gone from memory, not just out of reach."""

import gc
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from adapters.in_memory.conversation_store import InMemoryConversationStore
from adapters.in_memory.expiries import Expiries
from adapters.in_memory.turn_log import InMemoryTurnLog
from domain.model.identifiers import ConversationRef, SessionId, TurnRef
from domain.model.message import TextPart
from domain.model.piece import TextPiece
from ports.errors import TurnLogNotFound
from tests.support.builders import (
    AT_ONCE,
    END,
    OWNER,
    a_conversation,
    numbered,
    turn_id,
    turn_of,
    with_question,
)
from tests.support.changes import answering, asking
from tests.support.clocks import NOON, ManualClock

DAY = timedelta(hours=24)
SECRET = "what I would tell nobody else"
DAYS = st.integers(0, 9).map(lambda hours: timedelta(hours=hours))


def named(number: int) -> SessionId:
    return SessionId(f"00000000-0000-4000-8000-{number:012x}")


def alive(kind: type[TextPart | TextPiece]) -> int:
    """How many texts of the kind repeat what was said."""
    gc.collect()
    found = [one for one in gc.get_objects() if type(one) is kind]
    return sum(one.text.startswith(SECRET) for one in found)


class Memory:
    def __init__(self, max_ended_bytes: int = 10_000) -> None:
        self.clock = ManualClock()
        self.log = InMemoryTurnLog(clock=self.clock, max_ended_bytes=max_ended_bytes)
        self.store = InMemoryConversationStore(clock=self.clock, log=self.log)

    async def talk(self, number: int, *, ends: bool = True) -> None:
        """A conversation, its one turn logged."""
        session_id = named(number)
        conversation = with_question(a_conversation(id=session_id), f"{SECRET} {number}")
        await self.store.create(OWNER, conversation)
        pieces = numbered(f"{SECRET} {number}")
        await self.log.append(ConversationRef(OWNER, session_id), turn_of(conversation), pieces)
        if ends:
            await self.store.update(ConversationRef(OWNER, session_id), answering(number=1))
            await self.log.end(ConversationRef(OWNER, session_id), turn_of(conversation), END)

    async def logged(self, *numbers: int) -> list[int]:
        found = []
        for number in numbers:
            try:
                await self.log.read(
                    TurnRef(ConversationRef(OWNER, named(number)), turn_id()), 0, AT_ONCE
                )
            except TurnLogNotFound:
                continue
            found.append(number)
        return found


async def test_a_day_later_one_write_drops_all_that_expired() -> None:
    memory = Memory()
    for number in range(20):
        await memory.talk(number)
    before = alive(TextPart)
    memory.clock.advance(DAY)
    await memory.store.create(OWNER, a_conversation(id=named(99)))

    assert (before, alive(TextPart)) == (20, 0)


async def test_what_is_in_use_stays() -> None:
    memory = Memory()
    await memory.talk(1)
    await memory.talk(2)
    memory.clock.advance(DAY / 2)
    await memory.store.update(
        ConversationRef(OWNER, named(1)), asking("Still there?", 2, at=NOON + DAY / 2)
    )
    memory.clock.advance(DAY / 2)
    await memory.store.create(OWNER, a_conversation(id=named(99)))

    assert alive(TextPart) == 1
    assert (await memory.store.load(ConversationRef(OWNER, named(1)))).messages[
        0
    ].text == f"{SECRET} 1"


async def test_a_minute_after_its_end_a_log_is_dropped_with_the_next_that_opens() -> None:
    memory = Memory()
    for number in range(20):
        await memory.talk(number)
    before = alive(TextPiece)
    memory.clock.advance(timedelta(seconds=60))
    await memory.store.create(OWNER, with_question(a_conversation(id=named(99))))

    assert (before, alive(TextPiece)) == (20, 0)


async def test_ended_logs_leave_when_they_are_too_much_together() -> None:
    memory = Memory(max_ended_bytes=100)
    for number in range(1, 6):
        await memory.talk(number, ends=number != 1)

    # Thirty-one bytes each: there is room for three. The first is still running.
    assert await memory.logged(1, 2, 3, 4, 5) == [1, 3, 4, 5]


async def test_a_large_log_is_kept_when_it_is_the_only_one() -> None:
    memory = Memory(max_ended_bytes=1)
    await memory.talk(1)

    assert await memory.logged(1) == [1]


@given(
    st.lists(st.tuples(st.integers(0, 4), DAYS | st.none()), max_size=30),
    st.lists(DAYS, min_size=1).map(sorted),
)
def test_each_is_due_once_at_its_last_time(
    said: list[tuple[int, timedelta | None]], moments: list[timedelta]
) -> None:
    expiries, wanted = Expiries(), dict[SessionId, timedelta]()
    for number, at in said:
        if at is None:
            expiries.remove(named(number))
            wanted.pop(named(number), None)
        else:
            expiries.put(named(number), at)
            wanted[named(number)] = at

    for moment in moments:
        due = list(expiries.due(moment))
        assert sorted(due) == sorted(key for key, at in wanted.items() if at <= moment)
        wanted = {key: at for key, at in wanted.items() if at > moment}


def test_putting_off_takes_no_memory() -> None:
    expiries = Expiries()
    for hour in range(1_000):
        expiries.put(named(1), timedelta(hours=hour))

    assert len(gc.get_referents(expiries._looks)) == 1
    assert list(expiries.due(timedelta(hours=998))) == []
    assert list(expiries.due(timedelta(hours=999))) == [named(1)]
