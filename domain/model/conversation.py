"""A conversation: its state, its newest messages, and how long it is retained.

Retention is a promise to users and therefore not a setting.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from attrs import evolve, field, frozen
from attrs.validators import ge, in_, optional

from domain.model.errors import ConversationFull, MessageNotFound, OlderMessagesNeeded
from domain.model.hook_state import state_before
from domain.model.identifiers import MessageId, ProcessId, SessionId
from domain.model.limits import MAX_CONVERSATION_MESSAGES
from domain.model.message import Message, Role, TextPart, utf8_length
from domain.model.turn import Turn

RETENTION: Final = timedelta(hours=24)
"""How long a conversation is retained after its last turn."""

UNUSED_RETENTION: Final = timedelta(hours=1)
"""How long a conversation is retained if no turn was ever opened in it."""


class _Extent(Enum):
    WORKING_MEMORY = "working memory"


WORKING_MEMORY: Final = _Extent.WORKING_MEMORY
"""All messages that the model still sees, and at least the newest one."""

Extent: TypeAlias = int | Literal[_Extent.WORKING_MEMORY] | None
"""Which messages of a conversation are loaded: this many of the newest, ``WORKING_MEMORY``, or all
(None)."""


def _frozen_mapping(values: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(values))


@frozen(kw_only=True)
class Folding:
    """The claim of a process that is folding the oldest messages into the summary.

    As long as it counts, no other process folds them too. It is removed when one of the messages
    before ``until`` changes.

    Attributes:
        process: the process.
        since: when it made the claim, aware UTC.
        until: number of the first message that is not folded.
    """

    process: ProcessId
    since: datetime
    until: int = field(validator=ge(1))


@frozen(kw_only=True)
class Conversation:
    """One conversation; sometimes only its newest messages are loaded.

    Attributes:
        messages: the newest messages, oldest first; all of them if ``earlier`` is 0.
        earlier: how many messages precede the first of ``messages``.
        next_number: number of the next message; numbers are never reused.
        turn: the newest turn, open or ended; None before the first.
        earlier_keys: what is remembered of the Idempotency-Keys of turns before the newest, oldest
            first; see ``IdempotencyKey.remembered``.
        working_memory_from: number of the first message that the model still sees.
        summary: lossy summary of the oldest messages, which the model no longer sees; None if
            there is none.
        summarized_until: number of the first message that the summary does not cover; 1 if it
            covers none, and never above ``working_memory_from``.
        carried_summary: the summary of another conversation with which this one began; None if it
            began without one. It covers none of the messages.
        folding: the claim of the process that is writing the next summary; None if there is none.
        locale: BCP 47 tag of the language in which the assistant addresses the user.
        metadata: names and values that the client attached, stored unchanged.
        prompt_name: name of its system prompt in the assistant's file; None: the default one.
        hook_state: the JSON text that the operator's hook keeps with the conversation; None if it
            keeps none. It is restored when a turn is repeated.
        instructions_from: no message with a lower number is an instruction; None if no message is
            one.
        created_at: aware UTC.
        retained_since: when its retention was last restarted, aware UTC.
        retained_for: how long it is retained from then on.
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
    earlier_keys: tuple[bytes, ...] = ()
    working_memory_from: int = field(default=1, validator=ge(1))
    summary: str | None = None
    summarized_until: int = field(default=1, validator=ge(1))
    carried_summary: str | None = None
    folding: Folding | None = None
    metadata: Mapping[str, str] = field(factory=dict, converter=_frozen_mapping)
    prompt_name: str | None = None
    hook_state: str | None = field(default=None, repr=False)
    instructions_from: int | None = field(default=None, validator=optional(ge(1)))

    @property
    def expires_at(self) -> datetime:
        """When it expires, unless its retention is restarted before then."""
        return self.retained_since + self.retained_for

    @property
    def open_turn(self) -> Turn | None:
        """The turn whose reply is still being written; None if there is none."""
        return self.turn if self.turn is not None and self.turn.is_open else None

    @property
    def continues_cut_reply(self) -> bool:
        """Whether the open turn continues the last message from where it was cut."""
        return self.open_turn is not None and self.open_turn.cut_at is not None

    @property
    def next_turn_number(self) -> int:
        """Number of the next turn."""
        return 1 if self.turn is None else self.turn.number + 1

    @property
    def prompt_from(self) -> int:
        """Number of the first message that the model still sees, instructions included.

        Instructions are never forgotten, so they may precede the working memory.
        """
        return min(self.working_memory_from, self.instructions_from or self.working_memory_from)

    @property
    def working_memory(self) -> tuple[Message, ...]:
        """The loaded messages that the model still sees."""
        first = self.working_memory_from
        return tuple(message for message in self.messages if message.number >= first)

    @property
    def counted_bytes(self) -> int:
        """Bytes of the loaded content that count towards limits, with the overheads."""
        summaries = utf8_length(self.summary or "") + utf8_length(self.carried_summary or "")
        own = summaries + metadata_bytes(self.metadata) + utf8_length(self.hook_state or "")
        return own + sum(message.counted_bytes for message in self.messages)

    @property
    def image_bytes(self) -> int:
        """Bytes of the loaded images, which are part of ``counted_bytes``."""
        return sum(message.image_bytes for message in self.messages)


def new_conversation(session_id: SessionId, *, locale: str, at: datetime) -> Conversation:
    """An empty conversation; it expires after an hour unless a turn is opened in it."""
    return Conversation(
        id=session_id,
        locale=locale,
        created_at=at,
        retained_since=at,
        retained_for=UNUSED_RETENTION,
    )


def with_welcome(conversation: Conversation, message_id: MessageId, text: str) -> Conversation:
    """The conversation with the assistant's welcome as its next message."""
    welcome = Message(
        id=message_id,
        number=conversation.next_number,
        turn=0,
        role=Role.ASSISTANT,
        parts=(TextPart(text),),
        created_at=conversation.created_at,
    )
    return with_message(conversation, welcome)


def welcome_of(conversation: Conversation) -> str | None:
    """The welcome of a new conversation; None if it begins with anything else."""
    match conversation.messages:
        case (Message(turn=0, role=Role.ASSISTANT, text=text),) if conversation.summary is None:
            return text
    return None


def metadata_bytes(metadata: Mapping[str, str]) -> int:
    """Bytes of all names and values."""
    return sum(utf8_length(name) + utf8_length(value) for name, value in metadata.items())


def find_message(conversation: Conversation, message_id: MessageId) -> Message | None:
    """The loaded message with this id; None if no loaded message has it."""
    return next((message for message in conversation.messages if message.id == message_id), None)


def message_of(conversation: Conversation, message_id: MessageId) -> Message:
    """The message with this id.

    Raises:
        MessageNotFound: the conversation has no such message.
        OlderMessagesNeeded: it may precede the loaded messages.
    """
    message = find_message(conversation, message_id)
    if message is not None:
        return message
    raise OlderMessagesNeeded if conversation.earlier else MessageNotFound


def with_retention_from(conversation: Conversation, since: datetime) -> Conversation:
    """The conversation with its full retention counted from ``since``."""
    return evolve(conversation, retained_since=since, retained_for=RETENTION)


def retention_restarted(before: Conversation, after: Conversation) -> bool:
    """Whether the change from ``before`` to ``after`` restarts the retention."""
    return (before.retained_since, before.retained_for) != (
        after.retained_since,
        after.retained_for,
    )


def newly_opened(before: Conversation | None, after: Conversation) -> Turn | None:
    """The turn that the change from ``before`` to ``after`` opens; None if it opens none.

    ``before`` is None for a conversation that is new.
    """
    turn = after.open_turn
    previous = before.turn if before else None
    is_new = turn is not None and (previous is None or previous.id != turn.id)
    return turn if is_new else None


def with_message(conversation: Conversation, message: Message) -> Conversation:
    """The conversation with one more message, which must have the next number."""
    if message.number != conversation.next_number:
        raise ValueError("a message must have the conversation's next number")
    return evolve(
        conversation,
        messages=(*conversation.messages, message),
        next_number=message.number + 1,
    )


def require_message_room(conversation: Conversation) -> None:
    """Raise if the conversation has too many messages.

    Raises:
        ConversationFull: it has more than ``MAX_CONVERSATION_MESSAGES``.
    """
    if conversation.earlier + len(conversation.messages) > MAX_CONVERSATION_MESSAGES:
        raise ConversationFull


def truncated(conversation: Conversation, number: int) -> Conversation:
    """The conversation without message ``number`` and all that follow it.

    If only messages that the summary covers are left, the summary is removed too. If none of the
    remaining messages is in working memory, it begins at the end of the summary again. The hook's
    state is the one before the removed messages.

    Raises:
        OlderMessagesNeeded: messages that the model sees afterwards are not loaded.
    """
    kept = tuple(message for message in conversation.messages if message.number < number)
    leaves_working_memory = number <= conversation.working_memory_from
    if conversation.earlier and (not kept or leaves_working_memory):
        raise OlderMessagesNeeded
    # If the summary covered all remaining messages, working memory would be empty.
    removed = conversation.messages[len(kept) :]
    state = state_before(removed, conversation.hook_state)
    rest = evolve(conversation, messages=kept, hook_state=state)
    shorter = without_changed_summary(rest, number - 1)
    if number <= shorter.working_memory_from:
        return evolve(shorter, working_memory_from=shorter.summarized_until)
    return shorter


def without_changed_summary(conversation: Conversation, number: int) -> Conversation:
    """The conversation after message ``number`` has changed or was removed.

    A summary that covers the message is removed, and so is a claim to fold it into one.
    """
    if number < conversation.summarized_until:
        return without_summary(conversation)
    if conversation.folding is not None and number < conversation.folding.until:
        return evolve(conversation, folding=None)
    return conversation


def without_summary(conversation: Conversation) -> Conversation:
    """The conversation without the summary of its messages: the model sees all of them again."""
    return evolve(
        conversation,
        summary=conversation.carried_summary,
        summarized_until=1,
        working_memory_from=1,
        folding=None,
    )


def tail_of(conversation: Conversation, last: Extent) -> Conversation:
    """The conversation with no more messages loaded than ``last`` names."""
    if last is None:
        return conversation
    excess = max(len(conversation.messages) - _count_in(conversation, last), 0)
    if not excess:
        return conversation
    return evolve(
        conversation,
        messages=conversation.messages[excess:],
        earlier=conversation.earlier + excess,
    )


def _count_in(conversation: Conversation, last: int | Literal[_Extent.WORKING_MEMORY]) -> int:
    if isinstance(last, int):
        return last
    first = conversation.prompt_from
    return max(sum(message.number >= first for message in conversation.messages), 1)
