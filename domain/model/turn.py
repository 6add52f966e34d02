"""One turn: the input and the reply to it.

    step        open          finished      interrupted   failed
    ─────────   ───────────   ───────────   ───────────   ───────────
    finish      finished      (done)        superseded    superseded
    interrupt   interrupted   superseded    (done)        superseded
    fail        failed        superseded    superseded    (done)
    settle      interrupted   (done)        (done)        (done)

``(done)`` changes nothing and succeeds, so a step can be repeated after a lost response.
``superseded`` raises ``TurnSuperseded``, because the turn has ended in another way. ``settle``
closes a turn that a dead process left open, so it has nothing to do if the turn has ended.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from types import MappingProxyType
from typing import Final

from attrs import evolve, field, frozen
from attrs.validators import ge, optional

from domain.model.errors import InvalidInput, TurnSuperseded
from domain.model.identifiers import MessageId, ProcessId, TurnId
from domain.model.message import FinishReason, PromptReport, Usage


class TurnStatus(Enum):
    """The state of a turn. Only ``OPEN`` can change."""

    OPEN = "open"
    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


class TurnStep(Enum):
    """A step that ends a turn."""

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


REMEMBERED_KEY_BYTES: Final = 5
"""How much of a key's digest is kept once its turn is no longer the newest. Only the keys of one
conversation are compared, so a new key looks like an earlier one once in 30 billion cases."""


@frozen(kw_only=True)
class IdempotencyKey:
    """The client's Idempotency-Key, stored as digests only.

    Attributes:
        digest: digest of the key.
        body_digest: digest of the request; the same key with a different digest is an error.
    """

    digest: bytes
    body_digest: bytes

    @property
    def remembered(self) -> bytes:
        """What is kept of the key once its turn is no longer the newest."""
        return self.digest[:REMEMBERED_KEY_BYTES]


@frozen(kw_only=True)
class CutPoint:
    """Where a reply was cut; what follows was added by the turn that continues it.

    Attributes:
        parts: how many parts it had.
        characters: how many characters its last text had.
    """

    parts: int = field(validator=ge(1))
    characters: int = field(validator=ge(1))


@frozen(kw_only=True)
class Turn:
    """One turn of a conversation.

    Attributes:
        number: position among the conversation's turns, from 1; never reused.
        reply_id: id that the reply has, or will have.
        continues: True if the reply continues the last message: its tool calls now have results,
            or it was cut.
        cut_at: where the last message was cut; None unless the turn continues it from there.
        parts_before: how many parts the last message had when the turn began to continue it after
            its tool calls; None otherwise, and for turns of older releases.
        process: the process that runs it; None if it is unknown.
        idempotency: the key of its request; None if it had none or the key was released.
        ended_at: aware UTC; None while open.
        error: stable code of the failure; None if it did not fail.
    """

    id: TurnId
    number: int = field(validator=ge(1))
    reply_id: MessageId
    opened_at: datetime
    status: TurnStatus = TurnStatus.OPEN
    continues: bool = False
    process: ProcessId | None = None
    idempotency: IdempotencyKey | None = None
    ended_at: datetime | None = None
    error: str | None = None
    cut_at: CutPoint | None = None
    parts_before: int | None = field(default=None, validator=optional(ge(1)))

    @property
    def is_open(self) -> bool:
        """Whether its reply is still being written."""
        return self.status is TurnStatus.OPEN


def after_step(turn: Turn, step: TurnStep, at: datetime, error: str | None = None) -> Turn:
    """``turn`` after ``step``; the same object if there is nothing left to do.

    Raises:
        TurnSuperseded: it has ended in another way.
    """
    if turn.is_open:
        return evolve(turn, status=_ENDS_AS[step], ended_at=at, error=error)
    if step is TurnStep.SETTLE or turn.status is _ENDS_AS[step]:
        return turn
    raise TurnSuperseded


class Outcome(Enum):
    """How a turn ended, as its followers see it."""

    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    GONE = "gone"
    """The conversation was forgotten or has expired."""
    NOT_SAVED = "not-saved"
    """The reply ended but could not be stored."""


@frozen(kw_only=True)
class TurnEnd:
    """How a turn ended; the last entry of its log.

    Attributes:
        finish_reason, usage: as the model reported them; None unless finished.
        error: stable code; None if the reply is complete.
        rejected_option: the field of ``ReplyOptions`` because of which the model's server rejected
            the request; None if it named none. Not stored with the turn.
        prompt_report: what was left out of the prompt; None if nothing was.
        working_memory_from: number of the first message that the model saw, if the prompt had to be
            shortened for this reply; None otherwise. It is stored with the conversation.
        expires_at: when the conversation expires unless its retention is restarted, aware UTC;
            None if it is unknown or the outcome was not stored.
    """

    outcome: Outcome
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    error: str | None = None
    rejected_option: str | None = None
    prompt_report: PromptReport | None = None
    working_memory_from: int | None = None
    expires_at: datetime | None = None

    @property
    def is_complete(self) -> bool:
        """True if nothing of the reply is missing: it finished, or it was stopped on purpose."""
        stopped = self.outcome is Outcome.INTERRUPTED and self.error is None
        return stopped or self.outcome is Outcome.FINISHED


@frozen
class Cursor:
    """A position in a turn: after piece ``number``. Written as ``id.number``."""

    turn_id: TurnId
    number: int = field(validator=ge(0))

    def __str__(self) -> str:
        return f"{self.turn_id}.{self.number}"

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """The cursor written as ``text``.

        Raises:
            InvalidInput: ``cursor_malformed``.
        """
        turn_id, dot, number = text.rpartition(".")
        if not (turn_id and dot and number.isascii() and number.isdigit() and len(number) <= 18):  # noqa: PLR2004 - fits 64 bits
            raise InvalidInput("cursor_malformed", "A cursor is a turn id, a dot and a number.")
        return cls(TurnId(turn_id), int(number))


@frozen(kw_only=True)
class TurnPolicy:
    """The heartbeat and the timeouts of turns.

    Attributes:
        heartbeat: the longest time between two heartbeats of a running turn.
        dead_after: an open turn that has been silent for this long counts as dead: no process
            runs it.
        save_timeout: how long saving a reply is retried while the store cannot be reached.
        stop_timeout: how long a stopped turn may take to end; longer than ``dead_after``.
        silent_wait: how long a client waits for a stopped turn without hearing anything.
    """

    heartbeat: timedelta = timedelta(seconds=1)
    dead_after: timedelta = timedelta(seconds=15)
    save_timeout: timedelta = timedelta(seconds=30)
    stop_timeout: timedelta = timedelta(seconds=20)
    silent_wait: timedelta = timedelta(seconds=2)
