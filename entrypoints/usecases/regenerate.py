"""Asking for another answer, also to a message that was said anew."""

from attrs import frozen

from domain.model.conversation import Conversation
from domain.model.identifiers import ConversationRef, MessageId, Owner, SessionId
from domain.model.message import TextPart
from domain.model.turn import IdempotencyKey
from domain.service.turn_lifecycle import NewTurn, edit_message, regenerate, turn_for_key
from entrypoints.usecases.open_turn import OnBusy, OpenTurn, Started, StartTurn
from ports.rate_limiter import Quota, RateLimiter


@frozen(kw_only=True)
class RegenerateRequest:
    """What is to be answered anew.

    Attributes:
        message_id: a reply to be replaced, or the user message to be answered or said anew; absent
            for the newest user message.
        text: what the user message shall say instead; absent leaves it as it is.
        address: what limits are counted by.
        idempotency: the Idempotency-Key as digests; absent without one.
    """

    session_id: SessionId
    address: str
    message_id: MessageId | None = None
    text: TextPart | None = None
    on_busy: OnBusy = OnBusy.REJECT
    idempotency: IdempotencyKey | None = None


@frozen(kw_only=True)
class Regenerate:
    """Replaces a reply, or a message and its reply; what is replaced is gone for good."""

    start_turn: StartTurn
    open_turn: OpenTurn
    limiter: RateLimiter

    async def __call__(self, owner: Owner, again: RegenerateRequest) -> Started:
        """The turn that replies anew.

        Raises:
            ConversationNotFound: absent.
            MessageNotFound: the named message is not in it, or cannot be said anew.
            NothingToAnswer: there is no user message.
            IdempotencyKeyReused: the same key with another body.
            TurnInProgress, ConversationTooLarge: nothing was changed.
            TooManyRequests, TooManyTurns, ShuttingDown: nothing was changed.
            PortError: the store failed.
        """
        size = len(again.text.text.encode()) if again.text else 0
        await self.limiter.consume(again.address, Quota.STORED, size)
        new_turn = self.start_turn.new_turn(again.idempotency)

        async def open_it() -> Conversation:
            return await self.open_turn(
                ConversationRef(owner, again.session_id),
                lambda known: _anew(known, again, new_turn),
                again.on_busy,
                new_turn.turn_id,
            )

        conversation = await self.start_turn(
            owner, new_turn, open_it, address=again.address, tried=[again.session_id]
        )
        if conversation.turn is None:
            raise AssertionError("another answer has a turn")
        return Started(conversation=conversation, turn=conversation.turn)


def _anew(known: Conversation, again: RegenerateRequest, new_turn: NewTurn) -> Conversation:
    if turn_for_key(known, again.idempotency):
        return known
    if again.text is None:
        return regenerate(known, new_turn, again.message_id)
    return edit_message(known, new_turn, again.message_id, (again.text,))
