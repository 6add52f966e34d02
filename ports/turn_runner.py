"""Runs turns independently of the requests that started them."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Protocol, TypeAlias

from domain.model.conversation import Conversation
from domain.model.identifiers import TurnId
from ports.errors import StoreUnavailable


class Signals(Protocol):
    """Signals to a running turn from within its process."""

    async def wait(self, at_most: timedelta) -> None:
        """Return at the next ``wake`` or shutdown, or after ``at_most``."""
        ...

    def wake(self) -> None:
        """Make the current ``wait``, or else the next one, return at once."""
        ...

    @property
    def shutting_down(self) -> bool:
        """True once the process shuts down and the turn has to end."""
        ...


OpenTurnFn: TypeAlias = Callable[[], Awaitable[Conversation]]
"""Opens a turn and returns the stored conversation."""

ReplyFn: TypeAlias = Callable[[Conversation, Signals], Awaitable[None]]
"""Streams and stores the reply to the conversation's open turn."""

AbandonFn: TypeAlias = Callable[[StoreUnavailable], Awaitable[None]]
"""Closes a turn whose opening failed with this error, because it may be open anyway."""


class TurnRunner(Protocol):
    """Runs turns to their end, even after the client has disconnected."""

    async def run(
        self, turn_id: TurnId, open_turn: OpenTurnFn, reply: ReplyFn, abandon: AbandonFn
    ) -> Conversation:
        """What ``open_turn`` returned; ``reply`` then runs in the background.

        If the open turn of that conversation is not ``turn_id``, ``reply`` is not called: the
        caller has joined a turn that runs elsewhere. Cancelling the caller cancels neither
        ``open_turn`` nor ``reply``, so an opened turn always runs. If ``open_turn`` raises
        ``StoreUnavailable``, the turn may be open anyway, so ``abandon`` runs in the background.

        Raises:
            TooManyTurns: too many turns are running; ``open_turn`` was not called.
            ShuttingDown: no new turns are accepted, and ``open_turn`` was not called; or the
                process ended during ``open_turn``, so the turn may be open.
            Exception: whatever ``open_turn`` raised.
        """
        ...

    def is_running(self, turn_id: TurnId) -> bool:
        """Whether this turn runs here: it is being opened, written or abandoned."""
        ...

    def run_in_background(self, work: Callable[[], Awaitable[object]]) -> None:
        """Run ``work`` in the background; it waits if too much other work is running there.

        It may be dropped at any time. Once no new turns are accepted, running work is cancelled,
        and no more is started. An exception of ``work`` is logged.
        """
        ...

    def wake(self, turn_id: TurnId) -> None:
        """Make this turn check its log now; does nothing if it is not running in this process."""
        ...
