"""Sending a message: the conversation it belongs to, its turn, and a new one if it is gone."""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from attrs import evolve, frozen

from domain.model.conversation import Conversation
from domain.model.errors import (
    ConversationExists,
    ConversationNotFound,
    IdempotencyKeyReused,
    MessageNotFound,
)
from domain.model.identifiers import ConversationRef, MessageId, Owner, SessionId
from domain.model.message import TextPart
from domain.model.turn import IdempotencyKey
from domain.service.turn_lifecycle import (
    NewTurn,
    add_user_message,
    edit_message,
    is_being_answered,
    is_unanswered,
    new_conversation,
    turn_for_key,
)
from entrypoints.usecases.open_turn import OnBusy, OpenTurn, Started, StartTurn
from ports.assistant_profile import AssistantProfile
from ports.client_keys import ClientKeys
from ports.conversation_store import ConversationStateStore
from ports.identifier_source import IdentifierSource
from ports.rate_limiter import Quota, RateLimiter


@frozen(kw_only=True)
class NewMessage:
    """What a user sends.

    Attributes:
        session_id: the conversation it belongs to; absent for a first message.
        begin_as: the id of the conversation to begin when there is none; absent for a new one.
        message_id: the id the client gave it; absent when it gave none.
        is_new: whether that id was made for it, so that no older message has it.
        is_edit: whether ``message_id`` is known to name a message that this one replaces.
        locales: wanted, best first; empty leaves the conversation's as it is.
        page_context: JSON text; absent leaves the conversation's as it is.
        idempotency_key: the caller's own; absent without one.
        idempotency: the same key as digests, absent with it.
        address: pseudonym or address that limits are counted by.
    """

    text: TextPart
    address: str
    session_id: SessionId | None = None
    begin_as: SessionId | None = None
    message_id: MessageId | None = None
    is_new: bool = False
    is_edit: bool = False
    locales: Sequence[str] = ()
    page_context: str | None = None
    on_busy: OnBusy = OnBusy.REJECT
    idempotency_key: str | None = None
    idempotency: IdempotencyKey | None = None

    @property
    def named(self) -> MessageId:
        """The id that it has by the time it is said."""
        if self.message_id is None:
            raise AssertionError("a message has its id before it is said")
        return self.message_id

    @property
    def size(self) -> int:
        """Bytes of UTF-8 that it adds to what is stored."""
        return len(self.text.text.encode()) + len((self.page_context or "").encode())


@frozen(kw_only=True)
class SendMessage:
    """Takes a message; the reply is made apart from the request."""

    store: ConversationStateStore
    start_turn: StartTurn
    open_turn: OpenTurn
    profile: AssistantProfile
    keys: ClientKeys
    limiter: RateLimiter
    identifiers: IdentifierSource

    async def __call__(self, owner: Owner, message: NewMessage) -> Started:
        """The turn that replies to the message, once the message is safely stored.

        A session id that names nothing of this owner begins a new conversation, under a new id
        unless ``begin_as`` tells one.

        Raises:
            TurnInProgress: another turn is open.
            IdempotencyKeyReused: the same key with another body.
            ConversationTooLarge: it has reached its bound.
            TooManyRequests, TooManyTurns, ShuttingDown: nothing was changed.
            PortError: the store failed.
        """
        await self.limiter.consume(message.address, Quota.STORED, message.size)
        new_turn = self.start_turn.new_turn(message.idempotency)
        if message.message_id is None:
            message = evolve(message, message_id=self.identifiers.message_id(), is_new=True)
        tried: list[SessionId] = []
        open_it = partial(self._opened, owner, message, new_turn, tried)
        conversation = await self.start_turn(
            owner, new_turn, open_it, address=message.address, tried=tried
        )
        if conversation.turn is None:
            raise AssertionError("a sent message has a turn")
        restarted = message.session_id not in (None, conversation.id)
        return Started(conversation=conversation, turn=conversation.turn, restarted=restarted)

    async def _opened(
        self, owner: Owner, message: NewMessage, new_turn: NewTurn, tried: list[SessionId]
    ) -> Conversation:
        if message.session_id is not None:
            tried.append(message.session_id)
            with suppress(ConversationNotFound):
                return await self._continued(
                    ConversationRef(owner, message.session_id), message, new_turn
                )
        if message.begin_as is not None:
            tried.append(message.begin_as)
            return await self._begun_as(ConversationRef(owner, message.begin_as), message, new_turn)
        if message.idempotency_key is None:
            tried.append(self.identifiers.session_id())
            return await self._begun(ConversationRef(owner, tried[-1]), message, new_turn)
        tried.append(self.keys.session_for_request(owner, message.idempotency_key))
        return await self._begun_once(ConversationRef(owner, tried[-1]), message, new_turn)

    async def _begun_as(
        self, ref: ConversationRef, message: NewMessage, new_turn: NewTurn
    ) -> Conversation:
        try:
            return await self._begun(ref, message, new_turn)
        except ConversationExists:
            # It was there all the time, or another message was faster.
            return await self._continued(ref, message, new_turn)

    async def _begun_once(
        self, ref: ConversationRef, message: NewMessage, new_turn: NewTurn
    ) -> Conversation:
        """A retry of a first message meets its conversation: the id follows from the key."""
        with suppress(ConversationNotFound):
            return await self._retry_first(ref, message, new_turn)
        try:
            return await self._begun(ref, message, new_turn)
        except ConversationExists:
            # The same request was here at the same time, and was faster.
            return await self._retry_first(ref, message, new_turn)

    async def _retry_first(
        self, ref: ConversationRef, message: NewMessage, new_turn: NewTurn
    ) -> Conversation:
        def change(known: Conversation) -> Conversation:
            asked = turn_for_key(known, message.idempotency)
            if asked is None and not is_unanswered(known):
                # The conversation has gone on since: the first reply cannot be played again.
                raise IdempotencyKeyReused
            return known if asked else self._said(known, message, new_turn)

        return await self.open_turn(ref, change, message.on_busy, new_turn.turn_id)

    async def _continued(
        self, ref: ConversationRef, message: NewMessage, new_turn: NewTurn
    ) -> Conversation:
        def change(known: Conversation) -> Conversation:
            if turn_for_key(known, message.idempotency):
                return known
            if is_being_answered(known, message.named, (message.text,)):
                return known
            return self._said(known, message, new_turn)

        return await self.open_turn(ref, change, message.on_busy, new_turn.turn_id)

    async def _begun(
        self, ref: ConversationRef, message: NewMessage, new_turn: NewTurn
    ) -> Conversation:
        await self.limiter.consume(message.address, Quota.NEW)
        locale = self.profile.assistant().locale_for(message.locales)
        empty = new_conversation(ref.session_id, locale=locale, at=new_turn.at)
        conversation = self._said(empty, message, new_turn)
        await self.store.create(ref.owner, conversation)
        return conversation

    def _said(self, known: Conversation, message: NewMessage, new_turn: NewTurn) -> Conversation:
        asked = _asked(known, message, new_turn)
        if asked is known:
            return known
        if message.locales:
            asked = evolve(asked, locale=self.profile.assistant().locale_for(message.locales))
        if message.page_context is not None:
            asked = evolve(asked, page_context=message.page_context)
        return asked


def _asked(known: Conversation, message: NewMessage, new_turn: NewTurn) -> Conversation:
    if message.is_edit:
        # A message that never arrived can be edited all the same: it is said for the first time.
        with suppress(MessageNotFound):
            return edit_message(known, new_turn, message.named, (message.text,))
    return add_user_message(known, new_turn, message.named, (message.text,), is_new=message.is_new)
