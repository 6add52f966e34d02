"""One turn: what was put in, and the reply to it.

    step        open          finished      interrupted   failed
    ─────────   ───────────   ───────────   ───────────   ───────────
    finish      finished      (done)        superseded    superseded
    interrupt   interrupted   superseded    (done)        superseded
    fail        failed        superseded    superseded    (done)
    settle      interrupted   (done)        (done)        (done)

``(done)`` changes nothing and succeeds, so a step may be repeated after a lost answer;
``superseded`` refuses: somebody else has ended this turn. Settling closes what a dead process left
open, so whoever ended the turn before has already done its work.

The times a turn lives by.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from types import MappingProxyType
from typing import Final

from attrs import evolve, field, frozen
from attrs.validators import ge

from domain.model.errors import InvalidInput, TurnSuperseded
from domain.model.identifiers import MessageId, TurnId
from domain.model.message import FinishReason, Usage


class TurnStatus(Enum):
    """Where a turn stands. Only ``OPEN`` can change."""

    OPEN = "open"
    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


class TurnStep(Enum):
    """What ends a turn."""

    FINISH = "finish"
    INTERRUPT = "interrupt"
    FAIL = "fail"
    SETTLE = "settle"


_ENDS_AS: Final[Mapping[TurnStep, TurnStatus]] = MappingProxyType(
    {
        TurnStep.FINISH: TurnStatus.FINISHED,
        TurnStep.INTERRUPT: TurnStatus.INTERRUPTED,
        TurnStep.FAIL: TurnStatus.FAILED,
        TurnStep.SETTLE: TurnStatus.INTERRUPTED,
    }
)


@frozen(kw_only=True)
class IdempotencyKey:
    """The caller's Idempotency-Key: kept as digests only.

    Attributes:
        digest: names the key within its owner.
        body_digest: tells whether the same key came with the same request.
    """

    digest: bytes
    body_digest: bytes


@frozen(kw_only=True)
class Turn:
    """One turn of a conversation.

    Attributes:
        number: position among the conversation's turns, from 1; never used again.
        reply_id: id that the reply has, or will have.
        continues: whether the reply goes on with the message that asked for tools.
        idempotency: the key it was asked for with; absent without one, or when it was released.
        ended_at: aware UTC; absent while open.
        error: stable code of why it failed; absent otherwise.
    """

    id: TurnId
    number: int = field(validator=ge(1))
    reply_id: MessageId
    opened_at: datetime
    status: TurnStatus = TurnStatus.OPEN
    continues: bool = False
    idempotency: IdempotencyKey | None = None
    ended_at: datetime | None = None
    error: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether its reply is still to come."""
        return self.status is TurnStatus.OPEN


def after_step(turn: Turn, step: TurnStep, at: datetime, error: str | None = None) -> Turn:
    """``turn`` after ``step``; the same object when there is nothing left to do.

    Raises:
        TurnSuperseded: it has ended in another way.
    """
    if turn.is_open:
        return evolve(turn, status=_ENDS_AS[step], ended_at=at, error=error)
    if step is TurnStep.SETTLE or turn.status is _ENDS_AS[step]:
        return turn
    raise TurnSuperseded


class Outcome(Enum):
    """How a turn's log closes."""

    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    GONE = "gone"
    NOT_SAVED = "not-saved"


@frozen(kw_only=True)
class TurnEnd:
    """How a turn ended; the last thing in its log.

    Attributes:
        finish_reason, usage: as the model told them; absent unless finished.
        error: stable code; present for failed, gone and not saved.
        expires_at: when the conversation is forgotten if nothing more is said, aware UTC; absent
            when the turn's outcome was not stored.
    """

    outcome: Outcome
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    error: str | None = None
    expires_at: datetime | None = None

    @property
    def is_complete(self) -> bool:
        """True if nothing of the reply is missing: it finished, or it was stopped on purpose."""
        stopped = self.outcome is Outcome.INTERRUPTED and self.error is None
        return stopped or self.outcome is Outcome.FINISHED


@frozen
class Cursor:
    """A place in a turn: everything up to piece ``number`` has been seen; written ``id.number``."""

    turn_id: TurnId
    number: int = field(validator=ge(0))

    def __str__(self) -> str:
        return f"{self.turn_id}.{self.number}"

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """The cursor that was written as ``text``.

        Raises:
            InvalidInput: ``cursor_malformed``.
        """
        turn_id, dot, number = text.rpartition(".")
        if not (turn_id and dot and number.isascii() and number.isdigit() and len(number) <= 18):  # noqa: PLR2004 - fits 64 bits
            raise InvalidInput("cursor_malformed", "A cursor is a turn id, a dot and a number.")
        return cls(TurnId(turn_id), int(number))


@frozen(kw_only=True)
class TurnPolicy:
    """How patient turns are.

    Attributes:
        heartbeat: a running turn gives a sign of life at least this often.
        dead_after: an open turn that was silent for so long has lost its runner.
        save_timeout: how long a finished reply is tried to be saved while the store is away.
        stop_timeout: how long a stopped turn may take to end; a dead one is found out before.
    """

    heartbeat: timedelta = timedelta(seconds=1)
    dead_after: timedelta = timedelta(seconds=15)
    save_timeout: timedelta = timedelta(seconds=30)
    stop_timeout: timedelta = timedelta(seconds=20)
