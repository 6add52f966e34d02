"""Replaces a reply, or an edited user message and its reply."""

from collections.abc import Sequence

from attrs import evolve, frozen

from domain.model.assistant import Assistant
from domain.model.conversation import Conversation
from domain.model.identifiers import MessageId, Owner
from domain.model.message import TextPart, text_bytes, utf8_length
from domain.service.client_view import require_seen
from domain.service.regeneration import edit_text, regenerate
from domain.service.turn_lifecycle import NewTurn
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
        page_context: JSON text about the page the user is on, for the new text; None if the client
            sent none. Without a new text, the message keeps its own.
        locales: preferred locales, best first; empty keeps the conversation's.
    """

    message_id: MessageId | None = None
    newest_seen: MessageId | None = None
    text: TextPart | None = None
    page_context: str | None = None
    locales: Sequence[str] = ()

    @property
    def stored_bytes(self) -> int:
        """Bytes of text that it adds to what is stored."""
        if self.text is None:
            return 0
        return text_bytes(self.text) + utf8_length(self.page_context or "")


@frozen(kw_only=True)
class Regenerate:
    """Opens a turn for another reply; the replaced messages are deleted for good."""

    start_turn: StartTurn
    assistant: Assistant

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
            opened = _with_turn(conversation, new_turn, request)
            if opened is conversation or not request.locales:
                return opened
            return evolve(opened, locale=self.assistant.locale_for(request.locales))

        return await self.start_turn.in_conversation(owner, request, request.stored_bytes, change)


def _with_turn(
    conversation: Conversation, new_turn: NewTurn, request: RegenerateRequest
) -> Conversation:
    if request.text is None:
        return regenerate(conversation, new_turn, request.message_id)
    return edit_text(
        conversation,
        new_turn,
        request.message_id,
        request.text,
        page_context=request.page_context,
    )
