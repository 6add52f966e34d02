"""Stopping a reply that is being written."""

from attrs import frozen

from domain.model.identifiers import ConversationRef, TurnId, TurnRef
from entrypoints.usecases.follow_turn import FollowTurn
from entrypoints.usecases.open_turn import OpenTurn


@frozen(kw_only=True)
class StopTurn:
    """Stops a turn; what was said so far stays."""

    follow: FollowTurn
    open_turn: OpenTurn

    async def __call__(self, ref: ConversationRef, turn_id: TurnId | None = None) -> bool:
        """Whether a running turn was stopped; it has ended, or is about to.

        Nothing happens when none runs, or when ``turn_id`` is given and another one does: a late
        stop never hits the next turn.

        Raises:
            PortError: the store failed.
        """
        turn = await self.follow.running(ref)
        if turn is None or turn_id not in (None, turn.id):
            return False
        return await self.open_turn.stop_and_wait(TurnRef(ref, turn.id))
