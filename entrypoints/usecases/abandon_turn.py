"""Closing a turn that may have been opened although its opening seemed to fail."""

from datetime import datetime, timedelta
from typing import Final

from attrs import frozen

from domain.model.conversation import Conversation
from domain.model.errors import ConversationNotFound
from domain.model.identifiers import Owner, SessionId, TurnId
from domain.model.turn import Outcome, TurnEnd
from domain.model.turn_policy import TurnPolicy
from domain.service.turn_ending import fail
from ports.clock import Clock
from ports.conversation_store import ConversationStateStore
from ports.errors import ConversationBusy, StoredStateUnreadable, StoreUnavailable
from ports.turn_log import TurnLog

_RETRY_PAUSE: Final = timedelta(milliseconds=500)
_ERROR: Final = StoreUnavailable.code


@frozen(kw_only=True)
class AbandonTurn:
    """Fails a turn that nobody runs, so that nobody waits for it."""

    store: ConversationStateStore
    log: TurnLog
    clock: Clock
    policy: TurnPolicy

    async def __call__(self, owner: Owner, session_id: SessionId, turn_id: TurnId) -> None:
        """Close the turn if it is there and open; tried as long as a reply would be.

        Its request key is free again, and the same words said again take the unanswered ones'
        place. Nothing is raised: what cannot be closed is settled as a dead process's turn.
        """
        deadline = self.clock.monotonic() + self.policy.save_within
        while True:
            try:
                return await self._closed(owner, session_id, turn_id)
            except (ConversationNotFound, StoredStateUnreadable):
                return None
            except (StoreUnavailable, ConversationBusy):
                if self.clock.monotonic() >= deadline:
                    return None
            await self.clock.sleep(_RETRY_PAUSE)

    async def _closed(self, owner: Owner, session_id: SessionId, turn_id: TurnId) -> None:
        at = self.clock.now()
        known = await self.store.update(
            owner, session_id, lambda known: _abandoned(known, turn_id, at), last=1
        )
        if known.turn is not None and known.turn.id == turn_id:
            end = TurnEnd(outcome=Outcome.FAILED, error=_ERROR)
            await self.log.end(owner, session_id, known.turn, end)


def _abandoned(known: Conversation, turn_id: TurnId, at: datetime) -> Conversation:
    turn = known.open_turn
    return known if turn is None or turn.id != turn_id else fail(known, turn_id, (), at, _ERROR)
