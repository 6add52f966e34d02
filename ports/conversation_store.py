"""Where conversations live between requests."""

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
    """Some neighbouring messages, oldest first.

    Attributes:
        next: pass it as ``before`` to get the page before this one; absent on the oldest page.
    """

    messages: tuple[Message, ...]
    next: int | None


class ConversationStateStore(Protocol):
    """Keeps conversations sealed off by owner and forgets them in time.

    Absent, expired, forgotten and another owner's are one answer: ``ConversationNotFound``.
    A write that changes ``retained_since`` or ``retained_for`` restarts the
    retention: ``retained_for`` from that write on. Any other write leaves it as it is, and reading
    never extends it. A write whose
    conversation has a newly opened turn opens that turn's log in the same step.

    Every method raises ``StoreUnavailable`` when the store does not answer, and
    ``StoredStateUnreadable`` when what is stored does not open.
    """

    async def create(self, owner: Owner, conversation: Conversation) -> None:
        """Store a conversation under a new id.

        Raises:
            ConversationExists: the id is taken, by whomever; what is there stays.
        """
        ...

    async def load(self, ref: ConversationRef, last: int | None = None) -> Conversation:
        """The conversation with at least its newest ``last`` messages; ``None`` means all.

        Raises:
            ConversationNotFound: absent.
        """
        ...

    async def page(self, ref: ConversationRef, before: int | None, limit: int) -> Page:
        """At most ``limit`` (from 1) messages numbered below ``before``; ``None``: the newest.

        Raises ``ConversationNotFound`` when absent.
        """
        ...

    async def update(
        self,
        ref: ConversationRef,
        change: Change,
        base: Conversation | None = None,
        last: int | None = None,
    ) -> Conversation:
        """The conversation after ``change``, stored without losing anybody's update.

        ``base`` is what the caller saw last and spares the read when nobody wrote since. When the
        change raises ``OlderMessagesNeeded`` it is called again with all messages; any other error
        of it is passed on, and nothing is changed.

        Raises:
            ConversationNotFound: absent; a forgotten conversation is never brought back.
            ConversationTooLarge: it could take no turn, or could not be read again.
            ConversationBusy: other writers were faster for too long.
        """
        ...

    async def ensure_log(self, turn_ref: TurnRef) -> bool:
        """Whether this turn is still the open one; if so, it has a log, again if that was lost."""
        ...

    async def forget(self, ref: ConversationRef) -> None:
        """Delete the conversation and its log for good; absent or another owner's is no error."""
        ...

    async def forget_if(self, ref: ConversationRef, predicate: Predicate) -> None:
        """``forget`` if ``predicate``, which may see the newest messages only, holds by then."""
        ...
