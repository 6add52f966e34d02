"""Sends a user message: opens a turn in its conversation, or in a new one if that is gone."""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from attrs import evolve, frozen

from domain.model.assistant import Assistant
from domain.model.conversation import Conversation, find_message, new_conversation
from domain.model.errors import (
    ConversationExists,
    ConversationNotFound,
    IdempotencyKeyReused,
    MessageNotFound,
)
from domain.model.identifiers import ConversationRef, MessageId, Owner, SessionId
from domain.model.message import Part, content_bytes, utf8_length
from domain.model.rate_limits import Payer
from domain.model.turn import IdempotencyKey
from domain.service.client_view import require_seen
from domain.service.idempotency import is_being_answered, is_unanswered
from domain.service.regeneration import edit_message
from domain.service.turn_lifecycle import NewTurn, add_user_message
from entrypoints.usecases.open_turn import OnBusy, OnWait, OpenTurn, Started, StartTurn
from entrypoints.usecases.turn_permit import TurnPermit
from ports.client_keys import ClientKeys
from ports.conversation_store import Change
from ports.identifier_source import IdentifierSource


@frozen(kw_only=True)
class NewMessage:
    """A message that a user sends.

    Attributes:
        parts: its text and images.
        payer: whose limits count the request.
        session_id: the conversation it belongs to; None for a first message.
        create_as: the id under which to create the conversation if it is missing; None: a new id.
        message_id: the id the client gave it; None if it gave none.
        is_new: True if that id was made for this message, so that no older message has it.
        is_edit: True if ``message_id`` names the message that this one replaces.
        newest_seen: as in ``RegenerateRequest``, for a message that replaces an earlier one.
        locales: preferred locales, best first; empty keeps the conversation's.
        page_context: JSON text about the page the user is on; None if the client sent none.
        on_wait: as in ``TurnRequest``.
        idempotency_key: the Idempotency-Key as the client sent it; None if it sent none.
        idempotency: the same key as digests; None if the client sent none.
    """

    parts: tuple[Part, ...]
    payer: Payer
    session_id: SessionId | None = None
    create_as: SessionId | None = None
    message_id: MessageId | None = None
    is_new: bool = False
    is_edit: bool = False
    newest_seen: MessageId | None = None
    locales: Sequence[str] = ()
    page_context: str | None = None
    on_busy: OnBusy = OnBusy.REJECT
    on_wait: OnWait | None = None
    idempotency_key: str | None = None
    idempotency: IdempotencyKey | None = None

    @property
    def stored_bytes(self) -> int:
        """Bytes of text and images that it adds to what is stored."""
        return content_bytes(self.parts) + utf8_length(self.page_context or "")


@frozen(kw_only=True)
class _Attempt:
    """One message with the ids of everything it may store."""

    owner: Owner
    message: NewMessage
    message_id: MessageId
    is_new: bool
    new_turn: NewTurn
    assistant: Assistant

    def with_message(self, conversation: Conversation) -> Conversation:
        """The conversation with the message and its open turn."""
        changed = self._with_parts(conversation)
        if changed is conversation:
            return conversation
        if self.message.locales:
            changed = evolve(changed, locale=self.assistant.locale_for(self.message.locales))
        return changed

    def is_being_answered(self, conversation: Conversation) -> bool:
        """Whether the open turn answers this very message."""
        return is_being_answered(conversation, self.message_id, self.message.parts)

    def _with_parts(self, conversation: Conversation) -> Conversation:
        parts, page_context = self.message.parts, self.message.page_context
        if self.message.is_edit or find_message(conversation, self.message_id):
            require_seen(conversation, self.message.newest_seen)
        if self.message.is_edit:
            # An edit of a message that never arrived is a new message.
            with suppress(MessageNotFound):
                return edit_message(
                    conversation,
                    self.new_turn,
                    self.message_id,
                    parts,
                    page_context=page_context,
                )
        return add_user_message(
            conversation,
            self.new_turn,
            self.message_id,
            parts,
            page_context=page_context,
            is_new=self.is_new,
        )


@frozen(kw_only=True)
class SendMessage:
    """Opens a turn with a user message; the reply is written in the background."""

    start_turn: StartTurn
    open_turn: OpenTurn
    assistant: Assistant
    keys: ClientKeys
    identifiers: IdentifierSource

    async def __call__(self, owner: Owner, message: NewMessage) -> Started:
        """The turn that replies to the message; the message is stored.

        If this owner has no conversation ``session_id``, a new one is created: under the id
        ``create_as``, or a new id.

        Raises:
            InvalidInput: ``message_id_taken`` if the id belongs to a reply.
            ConversationMovedOn: the message replaces an earlier one, and the user has sent messages
                after ``newest_seen``.
            TurnInProgress: another turn is open.
            IdempotencyKeyReused: the same key with another request.
            RequestAlreadyAnswered: an older turn had the same key.
            ConversationGone: the new conversation was forgotten while it was being created.
            ConversationFull: the conversation has reached its size limit.
            TooManyRequests, TooManyTurns, ShuttingDown: nothing was changed.
            PortError: the store failed.
        """
        attempt = _Attempt(
            owner=owner,
            message=message,
            message_id=message.message_id or self.identifiers.message_id(),
            is_new=message.is_new or message.message_id is None,
            new_turn=self.start_turn.new_turn(message.idempotency),
            assistant=self.assistant,
        )
        permit = self.start_turn.permit(
            message.payer, attempt.new_turn.turn_id, message.stored_bytes
        )
        started = await self.start_turn(
            owner, attempt.new_turn, partial(self._open, attempt, permit), permit
        )
        restarted = message.session_id not in (None, started.conversation.id)
        return evolve(started, restarted=restarted)

    async def _open(self, attempt: _Attempt, permit: TurnPermit) -> Conversation:
        owner, message = attempt.owner, attempt.message
        if message.session_id is not None:
            ref = ConversationRef(owner, message.session_id)
            with suppress(ConversationNotFound):
                return await self._continue(ref, attempt, permit)
        if message.create_as is not None:
            return await self._create_or_continue(message.create_as, attempt, permit)
        if message.idempotency_key is None:
            return await self._create(self.identifiers.session_id(), attempt, permit)
        # The id is derived from the key, so that a repeated first message finds its conversation.
        session_id = self.keys.session_for_request(owner, message.idempotency_key)
        return await self._create_once(session_id, attempt, permit)

    async def _continue(
        self, ref: ConversationRef, attempt: _Attempt, permit: TurnPermit
    ) -> Conversation:
        await permit.obtain(ref.session_id)

        def change(conversation: Conversation) -> Conversation:
            if attempt.is_being_answered(conversation):
                return conversation
            return attempt.with_message(conversation)

        return await self._open_turn(ref, attempt, change)

    async def _create(
        self, session_id: SessionId, attempt: _Attempt, permit: TurnPermit
    ) -> Conversation:
        await permit.obtain(session_id, is_new=True)
        locale = self.assistant.locale_for(attempt.message.locales)
        empty = new_conversation(session_id, locale=locale, at=attempt.new_turn.at)
        conversation = attempt.with_message(empty)
        return await self.open_turn.create(attempt.owner, conversation, attempt.new_turn)

    async def _create_or_continue(
        self, session_id: SessionId, attempt: _Attempt, permit: TurnPermit
    ) -> Conversation:
        try:
            return await self._create(session_id, attempt, permit)
        except ConversationExists:
            # It already existed, or another message has just created it.
            ref = ConversationRef(attempt.owner, session_id)
            return await self._continue(ref, attempt, permit)

    async def _create_once(
        self, session_id: SessionId, attempt: _Attempt, permit: TurnPermit
    ) -> Conversation:
        ref = ConversationRef(attempt.owner, session_id)
        with suppress(ConversationNotFound):
            return await self._retry_first(ref, attempt, permit)
        try:
            return await self._create(session_id, attempt, permit)
        except ConversationExists:
            # The same request arrived twice at once, and the other one created it.
            return await self._retry_first(ref, attempt, permit)

    async def _retry_first(
        self, ref: ConversationRef, attempt: _Attempt, permit: TurnPermit
    ) -> Conversation:
        await permit.obtain(ref.session_id)

        def change(conversation: Conversation) -> Conversation:
            if not is_unanswered(conversation):
                # The conversation has gone on: the first reply can no longer be replayed.
                raise IdempotencyKeyReused
            return attempt.with_message(conversation)

        return await self._open_turn(ref, attempt, change)

    async def _open_turn(
        self, ref: ConversationRef, attempt: _Attempt, change: Change
    ) -> Conversation:
        message = attempt.message
        return await self.open_turn(ref, attempt.new_turn, change, message.on_busy, message.on_wait)
