"""Where turns run: apart from the request that asked for them."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Protocol, TypeAlias

from domain.model.conversation import Conversation
from domain.model.identifiers import TurnId
from ports.errors import StoreUnavailable


class Signals(Protocol):
    """What a running turn is told from within its process."""

    async def wait(self, at_most: timedelta) -> None:
        """Return at the next nudge or call to end, or after ``at_most``."""
        ...

    def wake(self) -> None:
        """Let a ``wait`` that is under way, or else the next, return at once."""
        ...

    @property
    def shutting_down(self) -> bool:
        """Whether the process shuts down and the turn has to end now."""
        ...


OpenTurnFn: TypeAlias = Callable[[], Awaitable[Conversation]]
"""Opens a turn and returns the stored conversation."""

ReplyFn: TypeAlias = Callable[[Conversation, Signals], Awaitable[None]]
"""Makes and stores the reply to the conversation's open turn."""

AbandonFn: TypeAlias = Callable[[StoreUnavailable], Awaitable[None]]
"""Closes a turn whose opening failed with this error: it may be open all the same."""


class TurnRunner(Protocol):
    """Runs turns to their end, whatever becomes of the callers."""

    async def run(
        self, turn_id: TurnId, open_turn: OpenTurnFn, reply: ReplyFn, abandon: AbandonFn
    ) -> Conversation:
        """What ``open_turn`` returned; ``reply`` then runs on by itself.

        When the opened conversation's open turn is not ``turn_id``, nothing is left to run: the
        caller has joined a turn that runs elsewhere. A caller that is cancelled cancels neither
        part, so an opened turn always has its runner. When ``open_turn`` raises
        ``StoreUnavailable``, the turn may be open all the same: ``abandon`` then runs by itself.

        Raises:
            TooManyTurns: the bound is reached; ``open_turn`` was not called.
            ShuttingDown: no new turns are taken; ``open_turn`` was not called.
            Exception: whatever ``open_turn`` raised.
        """
        ...

    def wake(self, turn_id: TurnId) -> None:
        """Have this turn look at its log now; nothing happens when it does not run here."""
        ...
