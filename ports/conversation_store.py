"""Where conversations are stored between requests."""

from collections.abc import Callable
from typing import Protocol, TypeAlias

from attrs import frozen

from domain.model.conversation import Conversation
from domain.model.identifiers import ConversationRef, Owner, TurnRef
from domain.model.message import Message

Change: TypeAlias = Callable[[Conversation], Conversation]
"""A pure function. It may be called several times; returning its argument changes nothing."""

Predicate: TypeAlias = Callable[[Conversation], bool]


@frozen(kw_only=True)
class Page:
    """Neighbouring messages, oldest first.

    Attributes:
        next: ``before`` of the page before this one; None on the oldest page.
    """

    messages: tuple[Message, ...]
    next: int | None


class ConversationStateStore(Protocol):
    """Stores conversations, each readable by its owner only, and forgets them in time.

    A conversation that is missing, expired, forgotten or another owner's is always
    ``ConversationNotFound``.

    A write that changes ``retained_since`` or ``retained_for`` restarts the retention: the
    conversation expires ``retained_for`` after that write. Other writes and reads leave it as it
    is. A write that opens a turn opens the turn's log in the same step.

    Every method raises ``StoreUnavailable`` if the store does not answer, and
    ``StoredStateUnreadable`` if what is stored does not open.
    """

    async def create(self, owner: Owner, conversation: Conversation) -> None:
        """Store a conversation under a new id.

        Raises:
            ConversationExists: the id is taken, by any owner; nothing was changed.
        """
        ...

    async def load(self, ref: ConversationRef, last: int | None = None) -> Conversation:
        """The conversation with at least its newest ``last`` messages; None: with all messages.

        Raises:
            ConversationNotFound: it does not exist.
        """
        ...

    async def page(self, ref: ConversationRef, before: int | None, limit: int) -> Page:
        """At most ``limit`` (from 1) messages numbered below ``before``; None: the newest.

        Raises:
            ConversationNotFound: it does not exist.
        """
        ...

    async def update(
        self,
        ref: ConversationRef,
        change: Change,
        base: Conversation | None = None,
        last: int | None = None,
    ) -> Conversation:
        """The conversation after ``change``; concurrent updates are never lost.

        ``base`` is what the caller read last; it saves reading if nobody wrote since. ``change``
        gets at least the newest ``last`` messages. If it raises ``OlderMessagesNeeded`` it is
        called again with all messages. Any other error it raises is passed on, and nothing is
        changed.

        Raises:
            ConversationNotFound: it does not exist; a forgotten conversation is never restored.
            ConversationTooLarge: it has reached its size limit and takes no further turn.
            ConversationBusy: too many concurrent updates.
        """
        ...

    async def ensure_log(self, turn_ref: TurnRef) -> bool:
        """Open the turn's log again if it was lost.

        Returns True if this is the open turn, which then has a log, and False otherwise.
        """
        ...

    async def forget(self, ref: ConversationRef) -> None:
        """Delete the conversation and its log; no error if it does not exist."""
        ...

    async def forget_if(self, ref: ConversationRef, predicate: Predicate) -> None:
        """Forget the conversation if ``predicate`` holds at that moment.

        ``predicate`` may get only the newest messages.
        """
        ...
