"""What a running turn has streamed so far, for everybody who follows it."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from enum import Enum
from typing import Protocol

from attrs import field, frozen

from domain.model.identifiers import ConversationRef, TurnRef
from domain.model.piece import NumberedPiece
from domain.model.turn import Turn, TurnEnd


def _as_tuple(pieces: Iterable[NumberedPiece]) -> tuple[NumberedPiece, ...]:
    return tuple(pieces)


@frozen(kw_only=True)
class Batch:
    """Neighbouring pieces of a turn, in order.

    Attributes:
        end: how the turn ended, if these are its last pieces; None while more may come.
    """

    pieces: tuple[NumberedPiece, ...] = field(default=(), converter=_as_tuple)
    end: TurnEnd | None = None

    @property
    def is_empty(self) -> bool:
        """True if it holds neither pieces nor the end."""
        return not self.pieces and self.end is None


class AppendResult(Enum):
    """What the writer of a turn learns with each write."""

    CONTINUE = "go on"
    STOPPED = "stopped"
    SUPERSEDED = "superseded"
    GONE = "gone"


class TurnLog(Protocol):
    """One log a conversation, of its newest turn; opened by the store with the turn itself.

    A log is kept for a minute after its end. A late writer never brings a deleted log back and
    never writes into another turn's. Every method raises ``StoreUnavailable`` when the log cannot
    be reached.
    """

    async def append(
        self, ref: ConversationRef, turn: Turn, pieces: Sequence[NumberedPiece]
    ) -> AppendResult:
        """Add pieces, or just a sign of life when there are none.

        Pieces already there are not added twice. Anything but ``CONTINUE`` tells the writer to end;
        ``STOPPED`` pieces are kept, ``SUPERSEDED`` and ``GONE`` ones are not. ``GONE`` is also the
        answer when what precedes these pieces was lost: a log that is opened again takes all.
        """
        ...

    async def end(self, ref: ConversationRef, turn: Turn, end: TurnEnd) -> None:
        """Close the log; nothing is added after it. No error when it is gone or superseded."""
        ...

    async def stop(self, turn_ref: TurnRef) -> bool:
        """Ask the writer of this turn to stop; whether such a turn was still running."""
        ...

    async def read(self, turn_ref: TurnRef, after: int, wait: timedelta) -> Batch:
        """All pieces after piece number ``after`` (0: from the first), and the end if it is there.

        If there is nothing yet, waits up to ``wait`` and then returns an empty batch. Reading
        leaves no trace, and any number of readers may read at once.

        Raises:
            TurnLogNotFound: this turn has no log.
        """
        ...

    def healthy_for(self) -> timedelta:
        """For how long this process has reached the logs without trouble; none while it does not.

        Nobody was silent for longer, and nothing was missing for longer.
        """
        ...

    async def silence(self, turn_ref: TurnRef) -> timedelta:
        """How long the writer of this open turn has given no sign of life.

        Only time during which this process could have seen one counts: while the log was out of
        reach, nobody was silent.

        Raises:
            TurnLogNotFound: this turn has no log.
        """
        ...
