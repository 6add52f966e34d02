"""The commands that wait for their replies, in order: the ones already sent, then the unsent ones.

Time is passed in, as a number of seconds: nothing here reads a clock, waits, or touches a socket.
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
    """The command was never sent: nothing has changed."""


class OutcomeUnknown(ConnectionTrouble):
    """The command was sent and got no reply: it may have been carried out."""


@frozen(kw_only=True)
class Bounds:
    """Limits on waiting for replies.

    Attributes:
        timeout: how long a call waits for its reply, and how long connecting may take.
        grace: how late the oldest reply may be before the connection counts as dead.
        commands: the maximum number of commands without a reply.
        size: the maximum number of bytes of commands without a reply.
    """

    timeout: timedelta = timedelta(seconds=2)
    grace: timedelta = timedelta(seconds=2)
    commands: int = 1_024
    size: int = 32_000_000


@define(eq=False)
class _Command:
    packed: bytes
    deadline: float
    reply: Reply = field(repr=False)


class CommandQueue:
    """Commands are sent, and replies assigned to them, in the order in which they were added."""

    def __init__(self, bounds: Bounds) -> None:
        """Empty at first."""
        self._bounds = bounds
        self._timeout = bounds.timeout.total_seconds()
        self._grace = bounds.grace.total_seconds()
        self._unsent: deque[_Command] = deque()
        self._sent: deque[_Command] = deque()
        self._size = 0

    @property
    def is_crowded(self) -> bool:
        """Whether half of the bound on commands, or on their bytes, is used up."""
        count = len(self._unsent) + len(self._sent)
        return 2 * count >= self._bounds.commands or 2 * self._size >= self._bounds.size

    def add(self, packed: bytes, now: float, reply: Reply) -> Reply:
        """Queue a command, packed for the wire; returns ``reply``, the future of its reply.

        Raises:
            NotSent: the bound on commands, or on their bytes, is reached.
        """
        size = self._size + len(packed)
        count = len(self._unsent) + len(self._sent)
        if count >= self._bounds.commands or size > self._bounds.size:
            raise NotSent("too many commands are waiting")
        self._unsent.append(_Command(packed, now + self._timeout, reply))
        self._size = size
        return reply

    def send(self) -> list[bytes]:
        """Returns all unsent commands, packed, for the caller to send; they now count as sent."""
        commands = [command.packed for command in self._unsent]
        self._sent.extend(self._unsent)
        self._unsent.clear()
        return commands

    def answer(self, reply: Any, error: RedisError | None) -> None:
        """Pass a reply, or an error that the server replied with, to the oldest sent command.

        Raises:
            InvalidResponse: no command is waiting for a reply.
        """
        if not self._sent:
            raise InvalidResponse("a reply arrived, but no command is waiting for one")
        command = self._sent.popleft()
        self._size -= len(command.packed)
        if command.reply.done():
            return
        if error is None:
            command.reply.set_result(reply)
        else:
            command.reply.set_exception(error)

    def expire(self, now: float) -> bool:
        """Fail the commands whose time is up; returns whether the connection counts as dead."""
        for command in self._sent:
            if command.deadline > now:
                break
            _fail(command, OutcomeUnknown("no reply in time"), None)
        while self._unsent and self._unsent[0].deadline <= now:
            self._size -= len(self._unsent[0].packed)
            _fail(self._unsent.popleft(), NotSent("not sent in time"), None)
        return bool(self._sent) and self._sent[0].deadline + self._grace <= now

    def next_deadline(self, now: float) -> float | None:
        """When ``expire`` must be called again; None if no command is waiting."""
        commands = (*self._sent, *self._unsent)
        deadlines = [command.deadline for command in commands if command.deadline > now][:1]
        if self._sent:
            deadlines.append(self._sent[0].deadline + self._grace)
        return min((deadline for deadline in deadlines if deadline > now), default=None)

    def fail_all(self, cause: BaseException | None) -> None:
        """Fail all commands: the outcome of the sent ones is unknown, the others were not sent."""
        for command in self._sent:
            _fail(command, OutcomeUnknown("the connection ended"), cause)
        for command in self._unsent:
            _fail(command, NotSent("there is no connection"), cause)
        self._sent.clear()
        self._unsent.clear()
        self._size = 0


def _fail(command: _Command, error: ConnectionTrouble, cause: BaseException | None) -> None:
    if not command.reply.done():
        error.__cause__ = cause
        command.reply.set_exception(error)
