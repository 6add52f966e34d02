"""Reading what was said."""

from attrs import frozen

from domain.model.conversation import Conversation, last_messages
from domain.model.identifiers import Owner, SessionId
from ports.conversation_store import ConversationStateStore, Page


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
        self, owner: Owner, session_id: SessionId, *, before: int | None = None, limit: int
    ) -> History:
        """At most ``limit`` messages numbered below ``before``; without it the newest.

        Raises:
            ConversationNotFound: absent.
            PortError: the store failed.
        """
        if before is None:
            loaded = await self.store.load(owner, session_id, last=limit)
            newest = last_messages(loaded, limit)
            next_ = newest.messages[0].number if newest.earlier else None
            page = Page(messages=newest.messages, next=next_)
            return History(conversation=newest, page=page)
        page = await self.store.page(owner, session_id, before, limit)
        head = await self.store.load(owner, session_id, last=1)
        return History(conversation=head, page=page)

    async def whole(self, owner: Owner, session_id: SessionId) -> Conversation:
        """Everything that is kept about the conversation.

        Raises:
            ConversationNotFound: absent.
            PortError: the store failed.
        """
        return await self.store.load(owner, session_id)
