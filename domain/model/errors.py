"""What a caller can do something about.

    DomainError                      the caller can act
    ├── InvalidInput                 what was sent cannot be accepted as it is
    ├── ConversationNotFound         absent, expired, forgotten or another owner's: one answer
    ├── ConversationExists           an id is created once
    ├── MessageNotFound              the named message is not (or no longer) part of it
    ├── TurnNotFound                 the named turn is not (or no longer) part of it
    ├── NothingToAnswer              there is no user message a reply could be made for
    ├── ConversationTooLarge         it has reached its bound
    ├── TurnInProgress               a turn is open, and it takes no second one
    ├── TurnSuperseded               the turn is no longer the open one
    ├── IdempotencyKeyReused         the same key with another body
    └── OlderMessagesNeeded          the tail is too short to decide: load more, ask again

The other root, ``ports.errors.PortError``, is the world's fault. Every class has a stable ``code``;
no message ever carries what people wrote.
"""

from typing import ClassVar


class DomainError(Exception):
    """The caller can act on this. ``code`` is stable and public."""

    code: ClassVar[str] = "domain_error"


class InvalidInput(DomainError):
    """What was sent cannot be accepted; nothing was changed.

    Attributes:
        problem: stable code of the rule that was broken, such as ``message_empty``.
        field: name of the offending field, absent when it is the whole.
    """

    code = "invalid_input"

    def __init__(self, problem: str, why: str, *, field: str | None = None) -> None:
        super().__init__(why)
        self.problem = problem
        self.field = field


class ConversationNotFound(DomainError):
    """There is no such conversation for this owner."""

    code = "conversation_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such conversation, or it has been forgotten.")


class ConversationExists(DomainError):
    """A conversation with this id is already there; it was left as it is."""

    code = "conversation_exists"

    def __init__(self) -> None:
        super().__init__("A conversation with this id already exists.")


class MessageNotFound(DomainError):
    """The named message is not part of the conversation."""

    code = "message_not_found"

    def __init__(self) -> None:
        super().__init__("The conversation has no such message.")


class TurnNotFound(DomainError):
    """The named turn is not part of the conversation, or there is no such conversation."""

    code = "turn_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such turn, or it has been forgotten.")


class NothingToAnswer(DomainError):
    """The conversation holds no user message that could be answered (again)."""

    code = "nothing_to_answer"

    def __init__(self) -> None:
        super().__init__("There is no message to answer.")


class ConversationTooLarge(DomainError):
    """The conversation has reached its bound; a new one has to be started."""

    code = "conversation_too_large"

    def __init__(self) -> None:
        super().__init__("This conversation has reached its largest size; please start a new one.")


class TurnInProgress(DomainError):
    """A turn is open.

    Attributes:
        turn_id: the open turn.
        can_interrupt: whether the request could succeed once that turn is stopped. If not,
            stopping it would lose a reply for nothing.
    """

    code = "turn_in_progress"

    def __init__(self, turn_id: str, *, can_interrupt: bool = True) -> None:
        super().__init__("A reply is still being written in this conversation.")
        self.turn_id = turn_id
        self.can_interrupt = can_interrupt


class TurnSuperseded(DomainError):
    """The turn is no longer the open one: its late writer must stop."""

    code = "turn_superseded"

    def __init__(self) -> None:
        super().__init__("This turn is no longer the open one.")


class IdempotencyKeyReused(DomainError):
    """The Idempotency-Key was used before with another body."""

    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used with another request.")


class OlderMessagesNeeded(DomainError):
    """The loaded tail is too short to decide; the store loads more and asks again."""

    code = "older_messages_needed"

    def __init__(self) -> None:
        super().__init__("Older messages are needed to decide.")
