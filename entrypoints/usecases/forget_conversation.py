"""Forgetting a conversation for good."""

from attrs import frozen

from domain.model.identifiers import Owner, SessionId
from domain.model.turn import Turn
from entrypoints.usecases.follow_turn import FollowTurn
from ports.conversation_store import ConversationStateStore
from ports.errors import StoredStateUnreadable
from ports.telemetry import Telemetry
from ports.turn_runner import TurnRunner


@frozen(kw_only=True)
class ForgetConversation:
    """Deletes state and log together; a running reply is thrown away."""

    store: ConversationStateStore
    follow: FollowTurn
    runner: TurnRunner
    telemetry: Telemetry

    async def __call__(self, owner: Owner, session_id: SessionId) -> None:
        """Forget it; absent or another owner's is no error and changes nothing.

        Raises:
            StoreUnavailable: it may still be there.
        """
        turn = await self._running(owner, session_id)
        await self.store.forget(owner, session_id)
        if turn is not None:
            self.runner.nudge(turn.id)
        self.telemetry.note("conversation.forgotten", session_id=session_id)

    async def _running(self, owner: Owner, session_id: SessionId) -> Turn | None:
        try:
            return await self.follow.running(owner, session_id)
        except StoredStateUnreadable:
            # A damaged record can be forgotten all the same.
            return None
