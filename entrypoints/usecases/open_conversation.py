"""Opening a conversation with the assistant's welcome, before anything is said."""

from collections.abc import Sequence

from attrs import frozen

from domain.model.conversation import Conversation
from domain.model.identifiers import Owner
from domain.service.opening import opened, welcomed
from ports.assistant_profile import AssistantProfile
from ports.clock import Clock
from ports.conversation_store import ConversationStateStore
from ports.identifier_source import IdentifierSource
from ports.rate_limiter import RateLimiter, Share


@frozen(kw_only=True)
class OpenConversation:
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
        await self.limiter.spend(address, Share.NEW)
        assistant = self.profile.assistant()
        locale = assistant.locale_for(locales)
        conversation = welcomed(
            opened(self.identifiers.session_id(), locale=locale, at=self.clock.now()),
            self.identifiers.message_id(),
            assistant.welcomes[locale],
        )
        await self.store.create(owner, conversation)
        return conversation
