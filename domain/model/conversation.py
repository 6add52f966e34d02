"""A conversation: its head, and a contiguous tail of its messages.

How long a conversation is kept. The stay is a promise to users and therefore no setting.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from attrs import evolve, field, frozen
from attrs.validators import ge, in_

from domain.model.errors import OlderMessagesNeeded
from domain.model.identifiers import SessionId
from domain.model.message import Message
from domain.model.turn import Turn

RETENTION: Final = timedelta(hours=24)
"""A conversation is forgotten this long after its last turn."""

UNUSED_RETENTION: Final = timedelta(hours=1)
"""A conversation nobody has spoken in yet is forgotten this long after it was opened."""


def _frozen_mapping(values: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(values))


@frozen(kw_only=True)
class Conversation:
    """What was said under one session id, as far as it was loaded.

    Attributes:
        messages: the newest messages, oldest first; all of them when ``earlier`` is 0.
        earlier: how many messages precede the first of ``messages``.
        next_number: number that the next message gets; numbers are never used again.
        turn: the newest turn, open or ended; absent before the first.
        working_memory_from: number of the first message that the model still sees.
        summary: lossy summary of the forgotten messages; absent while none is forgotten.
        locale: BCP 47 tag of the assistant's words to the user.
        page_context: JSON text about the page the user is on; absent when not told.
        metadata: short words of the client about the conversation, kept as they are.
        created_at: aware UTC.
        retained_since: when its stay was last restarted, aware UTC.
        retained_for: how long it stays from then.
    """

    id: SessionId
    locale: str
    created_at: datetime
    retained_since: datetime
    retained_for: timedelta = field(default=RETENTION, validator=in_((RETENTION, UNUSED_RETENTION)))
    messages: tuple[Message, ...] = ()
    earlier: int = field(default=0, validator=ge(0))
    next_number: int = field(default=1, validator=ge(1))
    turn: Turn | None = None
    working_memory_from: int = field(default=1, validator=ge(1))
    summary: str | None = None
    page_context: str | None = None
    metadata: Mapping[str, str] = field(factory=dict, converter=_frozen_mapping)

    @property
    def expires_at(self) -> datetime:
        """When it is forgotten unless another turn restarts its stay."""
        return self.retained_since + self.retained_for

    @property
    def open_turn(self) -> Turn | None:
        """The turn whose reply is still to come, absent when nothing runs."""
        return self.turn if self.turn is not None and self.turn.is_open else None

    @property
    def working_memory(self) -> tuple[Message, ...]:
        """The loaded messages that the model still sees."""
        return tuple(
            with_message
            for with_message in self.messages
            if with_message.number >= self.working_memory_from
        )

    @property
    def forgotten_messages(self) -> tuple[Message, ...]:
        """The loaded messages that only the summary stands for."""
        return tuple(
            with_message
            for with_message in self.messages
            if with_message.number < self.working_memory_from
        )


def with_retention_from(conversation: Conversation, since: datetime) -> Conversation:
    """The conversation with its full stay counted from ``since``."""
    return evolve(conversation, retained_since=since, retained_for=RETENTION)


def retention_restarted(before: Conversation, after: Conversation) -> bool:
    """Whether the change from ``before`` to ``after`` restarts its stay."""
    return (before.retained_since, before.retained_for) != (
        after.retained_since,
        after.retained_for,
    )


def with_message(conversation: Conversation, message: Message) -> Conversation:
    """The conversation with one message more, which must carry the next number."""
    if message.number != conversation.next_number:
        raise ValueError("a message gets the conversation's next number")
    return evolve(
        conversation,
        messages=(*conversation.messages, message),
        next_number=message.number + 1,
    )


def truncated(conversation: Conversation, number: int) -> Conversation:
    """The conversation without message ``number`` and all that follow it.

    A summary of messages that are cut away would go on telling of them, so it goes as well.

    Raises:
        OlderMessagesNeeded: the message precedes what is loaded.
    """
    kept = tuple(message for message in conversation.messages if message.number < number)
    if not kept and conversation.earlier:
        raise OlderMessagesNeeded
    shorter = evolve(conversation, messages=kept)
    if number <= conversation.working_memory_from:
        return evolve(shorter, working_memory_from=1, summary=None)
    return shorter


def tail_of(conversation: Conversation, count: int | None) -> Conversation:
    """The conversation with at most its newest ``count`` messages loaded; ``None`` means as is."""
    excess = 0 if count is None else max(len(conversation.messages) - count, 0)
    if not excess:
        return conversation
    return evolve(
        conversation,
        messages=conversation.messages[excess:],
        earlier=conversation.earlier + excess,
    )
