"""Beginning a conversation before anybody is asked to reply in it."""

from collections.abc import Mapping, Sequence

from attrs import evolve, frozen

from domain.model.conversation import Conversation
from domain.model.identifiers import Owner
from domain.service.adding import added
from domain.service.opening import opened
from entrypoints.usecases.given_input import Input, size_of, with_ids
from ports.assistant_profile import AssistantProfile
from ports.clock import Clock
from ports.conversation_store import ConversationStateStore
from ports.identifier_source import IdentifierSource
from ports.rate_limiter import RateLimiter, Share


@frozen(kw_only=True)
class BeginConversation:
    """Makes a conversation without a welcome; it has its full stay from the beginning."""

    store: ConversationStateStore
    profile: AssistantProfile
    limiter: RateLimiter
    identifiers: IdentifierSource
    clock: Clock

    async def __call__(
        self, owner: Owner, inputs: Sequence[Input], metadata: Mapping[str, str], *, address: str
    ) -> Conversation:
        """The new conversation, holding ``inputs``.

        Raises:
            InvalidInput: ``inputs`` do not fit together.
            ConversationTooLarge: they are too much for one conversation.
            TooManyRequests: this address began or stored too much.
            StoreUnavailable: nothing was stored, as far as the store could tell.
        """
        now = self.clock.now()
        locale = self.profile.assistant().default_locale
        empty = opened(self.identifiers.session_id(), locale=locale, at=now)
        full = added(empty, with_ids(inputs, self.identifiers), now)
        await self.limiter.spend(address, Share.STORED, size_of(inputs))
        await self.limiter.spend(address, Share.NEW)
        conversation = evolve(full, metadata=metadata)
        await self.store.create(owner, conversation)
        return conversation
