"""Stops a reply that is being written."""

from attrs import frozen

from domain.model.identifiers import ConversationRef, TurnId, TurnRef
from domain.model.turn import TurnPolicy
from entrypoints.usecases.dead_turns import SettleTurn
from entrypoints.usecases.follow_turn import FollowTurn
from entrypoints.usecases.open_turn import OpenTurn


@frozen(kw_only=True)
class StopTurn:
    """Stops a turn; its reply so far is stored."""

    follow: FollowTurn
    open_turn: OpenTurn
    settle_turn: SettleTurn
    policy: TurnPolicy

    async def __call__(self, ref: ConversationRef, turn_id: TurnId | None = None) -> bool:
        """Stop the open turn; True if it has ended within ``TurnPolicy.silent_wait``.

        A turn that takes longer still ends by itself, or is settled once it counts as dead. Returns
        False if no turn is open, or if the open one is not ``turn_id``, so that a late request
        never stops the next turn.

        Raises:
            PortError: the store failed.
        """
        turn = await self.follow.running(ref)
        if turn is None or turn_id not in (None, turn.id):
            return False
        turn_ref = TurnRef(ref, turn.id)
        if await self.settle_turn.if_dead(turn_ref):
            return True
        return await self.open_turn.stop_and_wait(turn_ref, self.policy.silent_wait)
