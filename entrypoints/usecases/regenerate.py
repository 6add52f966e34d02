"""Replaces a reply, or an edited user message and its reply."""

from attrs import frozen

from domain.model.conversation import Conversation
from domain.model.identifiers import MessageId, Owner
from domain.model.message import TextPart, text_bytes
from domain.service.client_view import require_seen
from domain.service.turn_lifecycle import NewTurn, edit_text, regenerate
from entrypoints.usecases.open_turn import Started, StartTurn, TurnRequest


@frozen(kw_only=True)
class RegenerateRequest(TurnRequest):
    """Which reply to regenerate.

    Attributes:
        message_id: the reply to replace, or the user message to answer again; None for the newest
            user message.
        newest_seen: the newest message that the client shows; None if it does not say, or if
            messages that it does not show may be deleted.
        text: new text of the user message, which keeps its other parts; None leaves it as it is.
    """

    message_id: MessageId | None = None
    newest_seen: MessageId | None = None
    text: TextPart | None = None


@frozen(kw_only=True)
class Regenerate:
    """Opens a turn for another reply; the replaced messages are deleted for good."""

    start_turn: StartTurn

    async def __call__(self, owner: Owner, request: RegenerateRequest) -> Started:
        """The turn that writes the new reply.

        Raises:
            ConversationNotFound: it does not exist.
            MessageNotFound: the conversation has no such message, or its text cannot be replaced.
            NothingToAnswer: there is no user message.
            ConversationMovedOn: the user has sent messages after ``newest_seen``.
            IdempotencyKeyReused: the same key with another request.
            RequestAlreadyAnswered: an older turn had the same key.
            TurnInProgress, ConversationFull: nothing was changed.
            TooManyRequests, TooManyTurns, ShuttingDown: nothing was changed.
            PortError: the store failed.
        """

        def change(conversation: Conversation, new_turn: NewTurn) -> Conversation:
            require_seen(conversation, request.newest_seen)
            if request.text is None:
                return regenerate(conversation, new_turn, request.message_id)
            return edit_text(conversation, new_turn, request.message_id, request.text)

        size = text_bytes(request.text) if request.text else 0
        return await self.start_turn.in_conversation(owner, request, size, change)
