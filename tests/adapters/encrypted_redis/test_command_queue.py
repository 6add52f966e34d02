"""The command queue, driven at random against a simple model."""

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


class CommandQueueMachine(RuleBasedStateMachine):
    """Every reply reaches its own command, whatever happens in between."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.queue = CommandQueue(BOUNDS)
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
                self.queue.add(b"%d" % self.count, self.now, reply)
            return
        self.queue.add(b"%d" % self.count, self.now, reply)
        self.queued.append((self.count, self.now + 2))
        self.replies[self.count] = reply
        self.count += 1

    @rule()
    def send(self) -> None:
        assert [int(packed) for packed in self.queue.send()] == [n for n, _ in self.queued]
        self.sent += self.queued
        self.queued = []

    @rule(is_error=st.booleans())
    def answer(self, *, is_error: bool) -> None:
        if not self.sent:
            with pytest.raises(InvalidResponse):
                self.queue.answer(b"?", None)
            return
        number, _ = self.sent.pop(0)
        self._expect(number, ResponseError if is_error else f"reply {number}")
        error = ResponseError("no") if is_error else None
        self.queue.answer(f"reply {number}", error)

    @precondition(lambda self: self.replies)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.replies)))
        if self.replies[number].cancel():
            self.cancelled.add(number)

    @rule(seconds=st.sampled_from([0.5, 1.0, 2.0, 3.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        is_dead = self.queue.expire(self.now)
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
        self.queue.fail_all(OSError("cut"))
        for number, _ in self.sent:
            self._expect(number, OutcomeUnknown)
        for number, _ in self.queued:
            self._expect(number, NotSent)
        self.sent, self.queued = [], []

    def _expect(self, number: int, outcome: Any) -> None:
        if number not in self.cancelled:
            self.expected.setdefault(number, outcome)

    @invariant()
    def every_command_got_its_own_outcome(self) -> None:
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
    def the_next_deadline_is_not_missed(self) -> None:
        deadlines = [deadline for _, deadline in (*self.sent, *self.queued)]
        coming = [deadline for deadline in deadlines if deadline > self.now]
        next_deadline = self.queue.next_deadline(self.now)
        if coming:
            assert next_deadline is not None
            assert next_deadline <= min(coming)


TestCommandQueue = CommandQueueMachine.TestCase
TestCommandQueue.settings = settings(max_examples=60, stateful_step_count=40)


async def test_more_bytes_than_the_bound_fail_at_once() -> None:
    queue, loop = CommandQueue(BOUNDS), asyncio.get_running_loop()
    queue.add(b"x" * 900, 0, loop.create_future())

    with pytest.raises(NotSent):
        queue.add(b"x" * 101, 0, loop.create_future())


async def test_a_reply_makes_room_for_another_command() -> None:
    queue, loop = CommandQueue(BOUNDS), asyncio.get_running_loop()
    queue.add(b"x" * 900, 0, loop.create_future())
    queue.send()
    queue.answer(b"OK", None)

    assert not queue.add(b"x" * 900, 0, loop.create_future()).done()


async def test_the_error_has_the_cause_of_the_lost_connection() -> None:
    queue, cause = CommandQueue(BOUNDS), OSError("cut")
    reply = queue.add(b"GET", 0, asyncio.get_running_loop().create_future())
    queue.fail_all(cause)

    with pytest.raises(ConnectionTrouble) as caught:
        await reply
    assert caught.value.__cause__ is cause
