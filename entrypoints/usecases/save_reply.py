"""Logging a reply while it is made, and storing it once it has ended."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from attrs import evolve, frozen

from domain.model.conversation import Conversation
from domain.model.errors import ConversationNotFound, DomainError, TurnSuperseded
from domain.model.piece import NumberedPiece
from domain.model.turn import Outcome, TurnEnd
from domain.model.turn_policy import TurnPolicy
from domain.service.turn_ending import fail, finish, interrupt
from entrypoints.usecases.running_turn import RunningTurn
from ports.clock import Clock
from ports.conversation_store import Change, ConversationStateStore
from ports.errors import ConversationBusy, PortError, StoreUnavailable
from ports.turn_log import TurnLog, Writing

_RETRY_PAUSE: Final = timedelta(milliseconds=500)


@frozen(kw_only=True)
class SaveReply:
    """Keeps what a running turn has heard."""

    store: ConversationStateStore
    log: TurnLog
    clock: Clock
    policy: TurnPolicy

    async def logged(self, run: RunningTurn) -> None:
        """Log what is not logged yet; without any, a sign of life. A log that is away can wait."""
        count = len(run.pieces)
        unsent = run.pieces[run.logged : count]
        with suppress(PortError):
            run.writing = await self._written(run, unsent)
            run.logged = max(run.logged, count)

    async def _written(self, run: RunningTurn, unsent: Sequence[NumberedPiece]) -> Writing:
        session_id = run.conversation.id
        writing = await self.log.append(run.owner, session_id, run.turn, unsent)
        if writing is not Writing.GONE:
            return writing
        # A log may be lost by itself; gone for good it is only with its conversation.
        if not await self.store.reopen_log(run.owner, session_id, run.turn.id):
            return writing
        return await self.log.append(run.owner, session_id, run.turn, list(run.pieces))

    async def __call__(self, run: RunningTurn) -> TurnEnd:
        """Store the outcome, for a while also against a store that is away; how the turn ended.

        Whatever the store says becomes that end.
        """
        change, end = _outcome(run, self.clock.now())
        base: Conversation | None = run.conversation
        deadline = self.clock.monotonic() + self.policy.save_within
        while True:
            try:
                stored = await self.store.update(run.owner, run.conversation.id, change, base=base)
            except ConversationNotFound:
                return TurnEnd(outcome=Outcome.GONE, error="conversation_gone")
            except TurnSuperseded:
                return TurnEnd(outcome=Outcome.INTERRUPTED, error="turn_superseded")
            except (StoreUnavailable, ConversationBusy):
                if self.clock.monotonic() >= deadline:
                    return TurnEnd(outcome=Outcome.NOT_SAVED, error="reply_not_saved")
            except (PortError, DomainError):
                return TurnEnd(outcome=Outcome.NOT_SAVED, error="reply_not_saved")
            else:
                return evolve(end, forgotten_at=stored.forgotten_at)
            base = None
            await self.clock.sleep(_RETRY_PAUSE)
            await self.logged(run)

    async def announced(self, run: RunningTurn, end: TurnEnd) -> None:
        """Close the log; one that is away closes by itself, and the reply is safe already."""
        with suppress(PortError):
            await self.log.end(run.owner, run.conversation.id, run.turn, end)


def _outcome(run: RunningTurn, at: datetime) -> tuple[Change, TurnEnd]:
    turn_id, said, last, error = run.turn.id, run.said, run.finished, run.error
    if last is not None:
        end = TurnEnd(outcome=Outcome.FINISHED, finish_reason=last.reason, usage=last.usage)
        return (
            lambda known: finish(known, turn_id, said, at, reason=last.reason, usage=last.usage),
            end,
        )
    if error is not None:
        end = TurnEnd(outcome=Outcome.FAILED, error=error)
        return lambda known: fail(known, turn_id, said, at, error), end
    end = TurnEnd(outcome=Outcome.INTERRUPTED)
    return lambda known: interrupt(known, turn_id, said, at), end
