"""Changing a conversation outside its turns."""

from collections.abc import Mapping, Sequence

from attrs import frozen

from domain.model.conversation import Conversation
from domain.model.identifiers import MessageId, Owner, SessionId
from domain.service.adding import added
from domain.service.leaving_out import described, without_part, without_turn
from entrypoints.usecases.given_input import Input, size_of, with_ids
from entrypoints.usecases.open_turn import OnBusy, OpenTurn
from ports.clock import Clock
from ports.conversation_store import ConversationStateStore
from ports.identifier_source import IdentifierSource
from ports.rate_limiter import RateLimiter, Share


@frozen(kw_only=True)
class ChangeConversation:
    """Adds, leaves out and describes. While a reply is being written only describing is possible.

    Every method raises ``ConversationNotFound`` when the conversation is absent, and ``PortError``
    when the store failed.
    """

    store: ConversationStateStore
    open_turn: OpenTurn
    limiter: RateLimiter
    identifiers: IdentifierSource
    clock: Clock

    async def add(
        self, owner: Owner, session_id: SessionId, inputs: Sequence[Input], *, address: str
    ) -> Conversation:
        """The whole conversation with ``inputs`` at its end; its stay is restarted.

        Raises:
            TurnInProgress: a reply is being written.
            InvalidInput: ``inputs`` do not fit what is there.
            ConversationTooLarge: it has reached its bound.
            TooManyRequests: this address stored too much.
        """
        await self.limiter.spend(address, Share.STORED, size_of(inputs))
        given, now = with_ids(inputs, self.identifiers), self.clock.now()
        return await self.open_turn(
            owner, session_id, lambda known: added(known, given, now), OnBusy.REJECT, None
        )

    async def leave_out(
        self, owner: Owner, session_id: SessionId, message_id: MessageId, place: int | None
    ) -> Conversation:
        """The conversation without one part of a message, or without the message.

        Raises:
            TurnInProgress: a reply is being written.
            MessageNotFound: there is no such part.
        """
        return await self.open_turn(
            owner,
            session_id,
            lambda known: without_part(known, message_id, place),
            OnBusy.REJECT,
            None,
        )

    async def leave_out_turn(self, owner: Owner, session_id: SessionId, number: int) -> None:
        """Forget one turn; with the last that was said the whole conversation goes.

        Raises:
            TurnInProgress: a reply is being written.
            MessageNotFound: there is nothing of such a turn.
        """
        left = await self.open_turn(
            owner, session_id, lambda known: without_turn(known, number), OnBusy.REJECT, None
        )
        if _is_empty(left):
            await self.store.forget_if(owner, session_id, _is_empty)

    async def describe(
        self, owner: Owner, session_id: SessionId, metadata: Mapping[str, str]
    ) -> Conversation:
        """The conversation with ``metadata`` instead of what it had."""
        return await self.store.update(
            owner, session_id, lambda known: described(known, dict(metadata)), last=1
        )


def _is_empty(conversation: Conversation) -> bool:
    said = conversation.messages or conversation.earlier or conversation.open_turn
    return not said and not conversation.metadata
