"""Continues a reply that ended early, in the same message."""

from attrs import frozen

from domain.model.conversation import Conversation
from domain.model.identifiers import MessageId, Owner
from domain.service.reply_continuation import continue_reply, is_being_continued
from domain.service.turn_lifecycle import NewTurn
from entrypoints.usecases.open_turn import Started, StartTurn, TurnRequest


@frozen(kw_only=True)
class ContinueRequest(TurnRequest):
    """Which reply to continue.

    Attributes:
        message_id: the reply, which must be the last message; None for the last message.
    """

    message_id: MessageId | None = None


@frozen(kw_only=True)
class ContinueReply:
    """Opens a turn that continues the last reply where it was cut."""

    start_turn: StartTurn

    async def __call__(self, owner: Owner, request: ContinueRequest) -> Started:
        """The turn that continues the reply: a new one, or the open one if it continues it already.

        Raises:
            ConversationNotFound: it does not exist.
            MessageNotFound: the conversation has no such message.
            NothingToContinue: the last message is not a reply that ended early.
            IdempotencyKeyReused: the same key with another request.
            RequestAlreadyAnswered: an older turn had the same key.
            TurnInProgress, ConversationFull: nothing was changed.
            TooManyRequests, TooManyTurns, ShuttingDown: nothing was changed.
            PortError: the store failed.
        """

        def change(conversation: Conversation, new_turn: NewTurn) -> Conversation:
            if is_being_continued(conversation, request.message_id):
                return conversation
            return continue_reply(conversation, new_turn, request.message_id)

        return await self.start_turn.in_conversation(owner, request, 0, change)
