"""Commands that wait for replies, driven at random against a plain model."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from redis.exceptions import InvalidResponse, ResponseError

from adapters.encrypted_redis.command_queue import (
    Bounds,
    CommandQueue,
    ConnectionTrouble,
    NotSent,
    OutcomeUnknown,
)

BOUNDS = Bounds(timeout=timedelta(seconds=2), grace=timedelta(seconds=2), commands=6, size=1_000)


class WaitingMachine(RuleBasedStateMachine):
    """Every reply reaches the command it belongs to, whatever happens in between."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.waiting = CommandQueue(BOUNDS)
        self.now = 0.0
        self.count = 0
        self.queued: list[tuple[int, float]] = []
        self.sent: list[tuple[int, float]] = []
        self.replies: dict[int, asyncio.Future[Any]] = {}
        self.cancelled: set[int] = set()
        self.expected: dict[int, Any] = {}

    def teardown(self) -> None:
        for reply in self.replies.values():
            if reply.done() and not reply.cancelled():
                reply.exception()
        self.loop.close()

    @rule()
    def call(self) -> None:
        reply = self.loop.create_future()
        if len(self.queued) + len(self.sent) == BOUNDS.commands:
            with pytest.raises(NotSent):
                self.waiting.add(b"%d" % self.count, self.now, reply)
            return
        self.waiting.add(b"%d" % self.count, self.now, reply)
        self.queued.append((self.count, self.now + 2))
        self.replies[self.count] = reply
        self.count += 1

    @rule()
    def send(self) -> None:
        assert [int(packed) for packed in self.waiting.send()] == [n for n, _ in self.queued]
        self.sent += self.queued
        self.queued = []

    @rule(refused=st.booleans())
    def answer(self, *, refused: bool) -> None:
        if not self.sent:
            with pytest.raises(InvalidResponse):
                self.waiting.answer(b"?", None)
            return
        number, _ = self.sent.pop(0)
        self._expect(number, ResponseError if refused else f"reply {number}")
        refusal = ResponseError("no") if refused else None
        self.waiting.answer(f"reply {number}", refusal)

    @precondition(lambda self: self.replies)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.replies)))
        if self.replies[number].cancel():
            self.cancelled.add(number)

    @rule(seconds=st.sampled_from([0.5, 1.0, 2.0, 3.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        is_dead = self.waiting.expire(self.now)
        for number, deadline in self.sent:
            if deadline <= self.now:
                self._expect(number, OutcomeUnknown)
        for number, deadline in self.queued:
            if deadline <= self.now:
                self._expect(number, NotSent)
        self.queued = [one for one in self.queued if one[1] > self.now]
        assert is_dead == bool(self.sent and self.sent[0][1] + 2 <= self.now)

    @rule()
    def lose_the_connection(self) -> None:
        self.waiting.fail_all(OSError("cut"))
        for number, _ in self.sent:
            self._expect(number, OutcomeUnknown)
        for number, _ in self.queued:
            self._expect(number, NotSent)
        self.sent, self.queued = [], []

    def _expect(self, number: int, outcome: Any) -> None:
        if number not in self.cancelled:
            self.expected.setdefault(number, outcome)

    @invariant()
    def everybody_got_what_is_theirs(self) -> None:
        for number, reply in self.replies.items():
            if number in self.cancelled:
                assert reply.cancelled()
            elif number not in self.expected:
                assert not reply.done()
            elif isinstance(self.expected[number], str):
                assert reply.result() == self.expected[number]
            else:
                assert type(reply.exception()) is self.expected[number]

    @invariant()
    def somebody_looks_in_time(self) -> None:
        waiting = [deadline for _, deadline in (*self.sent, *self.queued)]
        coming = [deadline for deadline in waiting if deadline > self.now]
        look = self.waiting.next_deadline(self.now)
        if coming:
            assert look is not None
            assert look <= min(coming)


TestWaiting = WaitingMachine.TestCase
TestWaiting.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


async def test_more_bytes_than_the_bound_fail_at_once() -> None:
    waiting, loop = CommandQueue(BOUNDS), asyncio.get_running_loop()
    waiting.add(b"x" * 900, 0, loop.create_future())

    with pytest.raises(NotSent):
        waiting.add(b"x" * 101, 0, loop.create_future())


async def test_an_answer_makes_room_again() -> None:
    waiting, loop = CommandQueue(BOUNDS), asyncio.get_running_loop()
    waiting.add(b"x" * 900, 0, loop.create_future())
    waiting.send()
    waiting.answer(b"OK", None)

    assert not waiting.add(b"x" * 900, 0, loop.create_future()).done()


async def test_the_cause_of_a_lost_connection_is_kept() -> None:
    waiting, cause = CommandQueue(BOUNDS), OSError("cut")
    reply = waiting.add(b"GET", 0, asyncio.get_running_loop().create_future())
    waiting.fail_all(cause)

    with pytest.raises(ConnectionTrouble) as caught:
        await reply
    assert caught.value.__cause__ is cause
