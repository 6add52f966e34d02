"""The commands that wait for their replies, in order: some still to be sent, some sent.

Time comes in as a number of seconds; nothing here reads a clock, waits, or touches a socket.
"""

import asyncio
from collections import deque
from datetime import timedelta
from typing import Any, TypeAlias

from attrs import define, field, frozen
from redis.exceptions import InvalidResponse, RedisError

Argument: TypeAlias = bytes | str | int
Reply: TypeAlias = "asyncio.Future[Any]"


class ConnectionTrouble(Exception):
    """A command got no reply."""


class NotSent(ConnectionTrouble):
    """The command never left: nothing has changed."""


class OutcomeUnknown(ConnectionTrouble):
    """The command left, its reply did not come: it may have been carried out."""


@frozen(kw_only=True)
class Bounds:
    """How much and how long callers may wait.

    Attributes:
        timeout: for one reply, from the call on; also for a connection.
        grace: how late the oldest reply may be before the connection counts as dead.
        commands, size: unanswered at most, in number and bytes.
    """

    timeout: timedelta = timedelta(seconds=2)
    grace: timedelta = timedelta(seconds=2)
    commands: int = 1_024
    size: int = 8_000_000


@define(eq=False)
class _Command:
    packed: bytes
    deadline: float
    reply: Reply = field(repr=False)


class CommandQueue:
    """First come, first sent, first answered."""

    def __init__(self, bounds: Bounds) -> None:
        """Nothing waits yet."""
        self._bounds = bounds
        self._patience = bounds.timeout.total_seconds()
        self._lateness = bounds.grace.total_seconds()
        self._queue: deque[_Command] = deque()
        self._sent: deque[_Command] = deque()
        self._size = 0

    @property
    def is_crowded(self) -> bool:
        """Whether half of what may wait does."""
        count = len(self._queue) + len(self._sent)
        return 2 * count >= self._bounds.commands or 2 * self._size >= self._bounds.size

    def add(self, packed: bytes, now: float, reply: Reply) -> Reply:
        """Let a command, as it goes over the wire, wait for its ``reply``, which is returned.

        Raises:
            NotSent: too much waits already.
        """
        size = self._size + len(packed)
        count = len(self._queue) + len(self._sent)
        if count >= self._bounds.commands or size > self._bounds.size:
            raise NotSent("too much waits")
        self._queue.append(_Command(packed, now + self._patience, reply))
        self._size = size
        return reply

    def send(self) -> list[bytes]:
        """The commands that are to be sent now; from here on their outcome is uncertain."""
        commands = [command.packed for command in self._queue]
        self._sent.extend(self._queue)
        self._queue.clear()
        return commands

    def answer(self, reply: Any, refusal: RedisError | None) -> None:
        """Give the oldest command that was sent its reply, or its refusal.

        Raises:
            InvalidResponse: nobody waits for one.
        """
        if not self._sent:
            raise InvalidResponse("a reply nobody asked for")
        command = self._sent.popleft()
        self._size -= len(command.packed)
        if command.reply.done():
            return
        if refusal is None:
            command.reply.set_result(reply)
        else:
            command.reply.set_exception(refusal)

    def expire(self, now: float) -> bool:
        """Fail what was waited for too long; whether the oldest reply is far too late."""
        for command in self._sent:
            if command.deadline > now:
                break
            _fail(command, OutcomeUnknown("no reply in time"), None)
        while self._queue and self._queue[0].deadline <= now:
            self._size -= len(self._queue[0].packed)
            _fail(self._queue.popleft(), NotSent("not sent in time"), None)
        return bool(self._sent) and self._sent[0].deadline + self._lateness <= now

    def next_deadline(self, now: float) -> float | None:
        """When ``expire`` has something to do again; absent while nothing waits."""
        coming = (one.deadline for one in (*self._sent, *self._queue) if one.deadline > now)
        due = [next(coming, None)]
        if self._sent:
            due.append(self._sent[0].deadline + self._lateness)
        return min((moment for moment in due if moment is not None and moment > now), default=None)

    def fail_all(self, cause: BaseException | None) -> None:
        """The connection ended: what was sent is uncertain, what was not never left."""
        for command in self._sent:
            _fail(command, OutcomeUnknown("the connection ended"), cause)
        for command in self._queue:
            _fail(command, NotSent("there is no connection"), cause)
        self._sent.clear()
        self._queue.clear()
        self._size = 0


def _fail(command: _Command, trouble: ConnectionTrouble, cause: BaseException | None) -> None:
    if not command.reply.done():
        trouble.__cause__ = cause
        command.reply.set_exception(trouble)
