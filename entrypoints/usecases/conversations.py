"""Opening a conversation with the assistant's welcome, before anything is said.

Finding the conversation that a client calls by a name of its own.

Reading what was said.

Forgetting a conversation for good.
"""

from collections.abc import Sequence

from attrs import frozen

from domain.model.conversation import Conversation, tail_of
from domain.model.errors import ConversationNotFound, InvalidInput
from domain.model.identifiers import ConversationRef, Owner, SessionId, session_id
from domain.model.turn import Turn
from domain.service.turn_lifecycle import new_conversation, with_welcome
from entrypoints.usecases.follow_turn import FollowTurn
from ports.assistant_profile import AssistantProfile
from ports.client_keys import ClientKeys
from ports.clock import Clock
from ports.conversation_store import ConversationStateStore, Page
from ports.errors import StoredStateUnreadable
from ports.identifier_source import IdentifierSource
from ports.rate_limiter import Quota, RateLimiter
from ports.telemetry import Telemetry
from ports.turn_runner import TurnRunner


@frozen(kw_only=True)
class CreateSession:
    """Makes a conversation that holds the welcome and lives one hour until its first message."""

    store: ConversationStateStore
    profile: AssistantProfile
    limiter: RateLimiter
    identifiers: IdentifierSource
    clock: Clock

    async def __call__(self, owner: Owner, *, address: str, locales: Sequence[str]) -> Conversation:
        """The new conversation; its locale is the best of ``locales`` that the assistant has.

        Raises:
            TooManyRequests: this address opened too many.
            StoreUnavailable: nothing was stored, as far as the store could tell.
        """
        await self.limiter.consume(address, Quota.NEW)
        assistant = self.profile.assistant()
        locale = assistant.locale_for(locales)
        conversation = with_welcome(
            new_conversation(self.identifiers.session_id(), locale=locale, at=self.clock.now()),
            self.identifiers.message_id(),
            assistant.welcomes[locale],
        )
        await self.store.create(owner, conversation)
        return conversation


@frozen(kw_only=True)
class FindConversation:
    """Tells which session a name means; names of different owners never meet."""

    store: ConversationStateStore
    keys: ClientKeys

    async def __call__(self, owner: Owner, name: str) -> SessionId:
        """The session of this owner with that id, else the one that the name stands for.

        The latter need not exist.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        wanted = _as_session_id(name)
        if wanted is not None and await self._is_there(owner, wanted):
            return wanted
        return self.derived_id(owner, name)

    def derived_id(self, owner: Owner, name: str) -> SessionId:
        """The session that the name stands for, whatever it looks like."""
        return self.keys.session_for_chat_id(owner, name)

    async def _is_there(self, owner: Owner, wanted: SessionId) -> bool:
        try:
            await self.store.load(ConversationRef(owner, wanted), last=1)
        except ConversationNotFound:
            return False
        except StoredStateUnreadable:
            # Damaged is not absent: it must neither be hidden nor begun anew.
            return True
        return True


def _as_session_id(name: str) -> SessionId | None:
    try:
        return session_id(name)
    except InvalidInput:
        return None


@frozen(kw_only=True)
class History:
    """A conversation's head, and one page of its messages."""

    conversation: Conversation
    page: Page


@frozen(kw_only=True)
class ReadHistory:
    """Reads a conversation; that never lengthens its stay."""

    store: ConversationStateStore

    async def __call__(
        self, ref: ConversationRef, *, before: int | None = None, limit: int
    ) -> History:
        """At most ``limit`` messages numbered below ``before``; without it the newest.

        Raises:
            ConversationNotFound: absent.
            PortError: the store failed.
        """
        if before is None:
            loaded = await self.store.load(ref, last=limit)
            newest = tail_of(loaded, limit)
            next_ = newest.messages[0].number if newest.earlier else None
            page = Page(messages=newest.messages, next=next_)
            return History(conversation=newest, page=page)
        page = await self.store.page(ref, before, limit)
        head = await self.store.load(ref, last=1)
        return History(conversation=head, page=page)

    async def whole(self, ref: ConversationRef) -> Conversation:
        """Everything that is kept about the conversation.

        Raises:
            ConversationNotFound: absent.
            PortError: the store failed.
        """
        return await self.store.load(ref)


@frozen(kw_only=True)
class ForgetConversation:
    """Deletes state and log together; a running reply is thrown away."""

    store: ConversationStateStore
    follow: FollowTurn
    runner: TurnRunner
    telemetry: Telemetry

    async def __call__(self, ref: ConversationRef) -> None:
        """Forget it; absent or another owner's is no error and changes nothing.

        Raises:
            StoreUnavailable: it may still be there.
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
            # A damaged record can be forgotten all the same.
            return None
