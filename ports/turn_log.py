"""Turn logs: what a running turn has streamed so far, for everyone who follows it."""

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
    """Consecutive pieces of a turn, in order.

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
    """What the writer of a turn should do after an append; see ``TurnLog.append``."""

    CONTINUE = "continue"
    STOPPED = "stopped"
    SUPERSEDED = "superseded"
    GONE = "gone"


class TurnLog(Protocol):
    """One log per conversation, for its newest turn; the store opens it together with the turn.

    A log is deleted one minute after its end, or ten minutes after its writer's last append or
    heartbeat. A late writer never restores a deleted log and never writes into another turn's.
    Every method raises ``StoreUnavailable`` if the log cannot be reached.
    """

    async def append(
        self, ref: ConversationRef, turn: Turn, pieces: Sequence[NumberedPiece]
    ) -> AppendResult:
        """Add pieces; without pieces, record a heartbeat.

        Pieces that are logged already are not added twice.

        Returns:
            ``CONTINUE``: the pieces are logged.
            ``STOPPED``: the pieces are logged; the turn was stopped and has to end.
            ``SUPERSEDED``: they are not logged, because the turn is no longer the open one.
            ``GONE``: they are not logged, because the log or earlier pieces are lost. Call
            ``ConversationStateStore.ensure_log``: if it returns True, append all pieces.
        """
        ...

    async def end(self, ref: ConversationRef, turn: Turn, end: TurnEnd) -> None:
        """Close the log; nothing is added afterwards. No error if it is gone or superseded."""
        ...

    async def stop(self, turn_ref: TurnRef) -> bool:
        """Ask the writer of this turn to stop; True if the turn's log was still open."""
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
        """How long this process has had unbroken contact with the logs; zero if it has none.

        A turn may have been silent for longer, but this process cannot know that.
        """
        ...

    async def silence(self, turn_ref: TurnRef) -> timedelta:
        """How long ago the writer of this open turn last appended pieces or sent a heartbeat.

        Time during which this process could not reach the log is not counted.

        Raises:
            TurnLogNotFound: this turn has no log.
        """
        ...
