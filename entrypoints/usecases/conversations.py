"""Creates, finds, reads, changes and forgets conversations."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Final

from attrs import evolve, frozen

from domain.model.assistant import Assistant
from domain.model.conversation import Conversation, new_conversation, tail_of, with_welcome
from domain.model.errors import ConversationGone, ConversationNotFound, InvalidInput
from domain.model.identifiers import ConversationRef, Owner, SessionId, session_id
from domain.model.rate_limits import Charge, Payer, Quota
from domain.model.turn import Turn
from domain.service.metadata import charged_bytes, with_metadata, with_metadata_changes
from domain.service.reply_reading import has_turn_loaded
from entrypoints.usecases.dead_turns import SettleTurn
from entrypoints.usecases.follow_turn import FollowTurn
from ports.client_keys import ClientKeys
from ports.clock import Clock
from ports.conversation_store import ConversationStateStore, Page
from ports.errors import StoredStateUnreadable
from ports.identifier_source import IdentifierSource
from ports.rate_limiter import RateLimiter
from ports.telemetry import Telemetry
from ports.turn_runner import TurnRunner

_NEWEST: Final = 8
"""How many messages are loaded to find a turn that is probably one of the newest."""


@frozen(kw_only=True)
class CreateSession:
    """Creates a conversation with the welcome; it expires after one hour without a message."""

    store: ConversationStateStore
    assistant: Assistant
    limiter: RateLimiter
    identifiers: IdentifierSource
    clock: Clock

    async def __call__(
        self,
        owner: Owner,
        *,
        payer: Payer,
        locales: Sequence[str],
        metadata: Mapping[str, str] = MappingProxyType({}),
    ) -> Conversation:
        """The new conversation, in the first of ``locales`` that has a welcome, or in the default.

        Raises:
            TooManyRequests: this caller created or stored too much.
            StoreUnavailable: the store did not answer.
        """
        stored = {Quota.STORED_BYTES: charged_bytes(metadata)} if metadata else {}
        await self.limiter.consume(Charge(payer=payer, amounts={Quota.NEW: 1, **stored}))
        locale = self.assistant.locale_for(locales)
        empty = with_metadata(
            new_conversation(self.identifiers.session_id(), locale=locale, at=self.clock.now()),
            metadata,
        )
        welcome = self.assistant.welcomes[locale]
        conversation = with_welcome(empty, self.identifiers.message_id(), welcome)
        await self.store.create(owner, conversation)
        return conversation


@frozen(kw_only=True)
class ConversationPatch:
    """Which data of a conversation to change.

    Attributes:
        locales: preferred locales, best first; empty for the default. None keeps the language.
        metadata: as in ``with_metadata_changes``; empty changes nothing.
    """

    locales: Sequence[str] | None = None
    metadata: Mapping[str, str | None] | None = MappingProxyType({})


@frozen(kw_only=True)
class PatchConversation:
    """Changes the language and the metadata of a conversation, even while a turn is open.

    A turn that is open keeps its language. The retention is not restarted.
    """

    store: ConversationStateStore
    assistant: Assistant
    limiter: RateLimiter

    async def __call__(
        self, ref: ConversationRef, patch: ConversationPatch, *, payer: Payer
    ) -> Conversation:
        """The conversation after the change; of its messages only the newest may be loaded.

        Raises:
            ConversationNotFound: it does not exist.
            InvalidInput: ``invalid_input`` if the metadata would have too many names.
            ConversationFull: it would exceed its size limit.
            TooManyRequests: this caller stored too much.
            PortError: the store failed.
        """

        def change(conversation: Conversation) -> Conversation:
            changed = with_metadata_changes(conversation, patch.metadata)
            if patch.locales is None:
                return changed
            return evolve(changed, locale=self.assistant.locale_for(patch.locales))

        values = {name: value or "" for name, value in (patch.metadata or {}).items()}
        amounts = {Quota.STORED_BYTES: charged_bytes(values)}
        await self.limiter.consume(Charge(payer=payer, amounts=amounts))
        return await self.store.update(ref, change, last=1)


@frozen(kw_only=True)
class FindConversation:
    """Finds the session that a client's own id refers to; each owner has separate ids."""

    store: ConversationStateStore
    keys: ClientKeys

    async def __call__(self, owner: Owner, name: str) -> SessionId:
        """``name`` if it is the id of an existing session of the owner, else ``derived_id``.

        The session with the derived id need not exist.

        Raises:
            StoreUnavailable: the store did not answer.
        """
        try:
            candidate = session_id(name)
        except InvalidInput:
            return self.derived_id(owner, name)
        exists = await self._exists(ConversationRef(owner, candidate))
        return candidate if exists else self.derived_id(owner, name)

    def derived_id(self, owner: Owner, name: str) -> SessionId:
        """The session id derived from ``name``, even if ``name`` is itself a session id."""
        return self.keys.session_for_chat_id(owner, name)

    async def _exists(self, ref: ConversationRef) -> bool:
        try:
            await self.store.load(ref, last=1)
        except ConversationNotFound:
            return False
        except StoredStateUnreadable:
            # A damaged conversation exists: it must be neither hidden nor created again.
            return True
        return True


@frozen(kw_only=True)
class History:
    """A conversation with only its newest messages loaded, and one page of messages."""

    conversation: Conversation
    page: Page


@frozen(kw_only=True)
class ReadHistory:
    """Reads a conversation; reading never extends its retention.

    A turn whose process has died is settled first, so that nobody waits for its reply.
    """

    store: ConversationStateStore
    settle_turn: SettleTurn

    async def __call__(
        self, ref: ConversationRef, *, before: int | None = None, limit: int
    ) -> History:
        """At most ``limit`` messages numbered below ``before``; None: the newest.

        Raises:
            ConversationNotFound: it does not exist.
            PortError: the store failed.
        """
        if before is None:
            newest = tail_of(await self.settle_turn.load(ref, last=limit), limit)
            next_ = newest.messages[0].number if newest.earlier else None
            return History(conversation=newest, page=Page(messages=newest.messages, next=next_))
        conversation = await self.settle_turn.load(ref, last=1)
        return History(conversation=conversation, page=await self.store.page(ref, before, limit))

    async def whole(self, ref: ConversationRef) -> Conversation:
        """The conversation with all its messages.

        Raises:
            ConversationNotFound: it does not exist.
            PortError: the store failed.
        """
        return await self.settle_turn.load(ref)

    async def open_turn(self, ref: ConversationRef) -> Turn | None:
        """The turn whose reply is being written; None if there is none, or no conversation.

        Raises:
            PortError: the store failed.
        """
        with suppress(ConversationNotFound):
            return (await self.settle_turn.load(ref, last=1)).open_turn
        return None

    async def with_turn(self, ref: ConversationRef, number: int) -> Conversation:
        """The conversation with at least the messages of this turn and those that follow it.

        If the conversation has no such turn, all messages are loaded. Notes that were stored with
        the turn's input are loaded too.

        Raises:
            ConversationNotFound: it does not exist.
            PortError: the store failed.
        """
        newest = await self.settle_turn.load(ref, last=_NEWEST)
        return newest if has_turn_loaded(newest, number) else await self.settle_turn.load(ref)

    async def after_turn(self, ref: ConversationRef, number: int) -> Conversation:
        """As ``with_turn``, after that turn has ended.

        Raises:
            ConversationGone: it was forgotten meanwhile, or it was evicted.
            PortError: the store failed.
        """
        try:
            return await self.with_turn(ref, number)
        except ConversationNotFound:
            raise ConversationGone from None


@frozen(kw_only=True)
class ForgetConversation:
    """Deletes a conversation and its log for good; a running reply is discarded."""

    store: ConversationStateStore
    follow: FollowTurn
    runner: TurnRunner
    telemetry: Telemetry

    async def __call__(self, ref: ConversationRef) -> None:
        """Forget the conversation; no error if it does not exist or belongs to another owner.

        Raises:
            StoreUnavailable: it may still exist.
        """
        turn = await self._running(ref)
        await self.store.forget(ref)
        if turn is not None:
            self.runner.wake(turn.id)
        self.telemetry.emit("conversation.forgotten", session_id=ref.session_id)

    async def _running(self, ref: ConversationRef) -> Turn | None:
        try:
            return await self.follow.running(ref)
        except StoredStateUnreadable:
            # A damaged conversation can be forgotten too.
            return None
