"""Where conversations are stored between requests."""

from collections.abc import Callable
from typing import Protocol, TypeAlias

from attrs import frozen

from domain.model.conversation import Conversation, Extent
from domain.model.identifiers import ConversationRef, Owner, TurnRef
from domain.model.message import Message

Change: TypeAlias = Callable[[Conversation], Conversation]
"""A pure function. It may be called several times; returning its argument changes nothing."""

Predicate: TypeAlias = Callable[[Conversation], bool]
"""A pure function."""


@frozen(kw_only=True)
class Page:
    """Consecutive messages, oldest first.

    Attributes:
        next: the value of ``before`` for the next older page; None on the oldest page.
    """

    messages: tuple[Message, ...]
    next: int | None


class ConversationStateStore(Protocol):
    """Stores conversations, each readable only by its owner, and deletes them when they expire.

    For a conversation that is missing, expired, forgotten or another owner's, the error is always
    ``ConversationNotFound``.

    A write that changes ``retained_since`` or ``retained_for`` restarts the retention: the
    conversation expires ``retained_for`` after that write. Reads and other writes do not change
    when it expires. A write that opens a turn opens the turn's log in the same step.

    Every method raises ``StoreUnavailable`` if the store does not answer, and
    ``StoredStateUnreadable`` if a stored conversation cannot be decrypted or decoded.
    """

    async def create(self, owner: Owner, conversation: Conversation) -> None:
        """Store a conversation under a new id.

        Raises:
            ConversationExists: the id is taken, by any owner; nothing was changed.
            ConversationGone: a conversation with this very turn was forgotten less than a minute
                ago, and a repeated request must not bring it back. Nothing was changed.
            ConversationFull: the conversation exceeds the size limit; nothing was changed.
        """
        ...

    async def load(self, ref: ConversationRef, last: Extent = None) -> Conversation:
        """The conversation with at least the messages that ``last`` names.

        Raises:
            ConversationNotFound: it does not exist.
        """
        ...

    async def page(self, ref: ConversationRef, before: int | None, limit: int) -> Page:
        """The newest ``limit`` messages with a number below ``before``.

        If ``before`` is None, the newest of all. ``limit`` must be at least 1.

        Raises:
            ConversationNotFound: it does not exist.
        """
        ...

    async def update(
        self,
        ref: ConversationRef,
        change: Change,
        base: Conversation | None = None,
        last: Extent = None,
    ) -> Conversation:
        """The conversation after ``change``; concurrent updates are never lost.

        ``base`` is the conversation as the caller last read it. With it, the store need not read a
        conversation that has not changed since. ``change`` gets at least the messages that ``last``
        names. If it raises ``OlderMessagesNeeded``, it is called again with all messages. Any
        other error that it raises is passed on, and nothing is changed.

        Raises:
            ConversationNotFound: it does not exist; a forgotten conversation is never restored.
            ConversationFull: the conversation has reached its size limit; nothing was changed.
            ConversationBusy: too many concurrent updates.
        """
        ...

    async def ensure_log(self, turn_ref: TurnRef) -> bool:
        """Open the turn's log again if it is missing.

        Returns True if this is the open turn, which then has a log, and False otherwise.
        """
        ...

    async def forget(self, ref: ConversationRef) -> None:
        """Delete the conversation and its log; no error if it does not exist."""
        ...

    async def forget_if(self, ref: ConversationRef, predicate: Predicate) -> None:
        """Forget the conversation if ``predicate`` holds at that moment.

        ``predicate`` cannot rely on older messages being loaded.
        """
        ...
