"""Errors that the caller can act on.

    DomainError                      the caller can act
    ├── InvalidInput                 the input breaks a rule
    ├── ConversationNotFound         missing, expired, forgotten or another owner's: all look alike
    ├── ConversationGone             it was forgotten while a request for it was being answered
    ├── ConversationExists           the session id is taken
    ├── MessageNotFound              the conversation has no such message (any more)
    ├── TurnNotFound                 the conversation has no such turn (any more)
    ├── NothingToAnswer              there is no user message to reply to
    ├── NothingToContinue            the last message is not a reply that ended early
    ├── ConversationFull             the conversation has reached a size limit
    ├── ConversationMovedOn          it has newer messages than the caller has seen
    ├── TurnInProgress               a turn is open; only one can be
    ├── TurnSuperseded               the turn is no longer the open one
    ├── IdempotencyKeyReused         the same Idempotency-Key with a different request
    ├── RequestAlreadyAnswered       an older turn of the conversation had this Idempotency-Key
    └── OlderMessagesNeeded          the change needs messages that are not loaded

The other root, ``ports.errors.PortError``, is for failures that the caller did not cause. Every
class has a stable ``code``; no message ever repeats what people wrote.
"""

from datetime import timedelta
from typing import ClassVar


class DomainError(Exception):
    """The caller can act on this. ``code`` is stable and public."""

    code: ClassVar[str] = "domain_error"


class InvalidInput(DomainError):
    """The input breaks a rule; nothing was changed.

    Attributes:
        problem: stable code of the rule that was broken, such as ``message_empty``.
        field: the domain's name of the offending field; None if it is the whole input.
    """

    code = "invalid_input"

    def __init__(self, problem: str, why: str, *, field: str | None = None) -> None:
        super().__init__(why)
        self.problem = problem
        self.field = field


class ConversationNotFound(DomainError):
    """This owner has no such conversation."""

    code = "conversation_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such conversation, or it has been forgotten.")


class ConversationGone(DomainError):
    """The conversation was forgotten, or has expired, while a request for it was being answered."""

    code = "conversation_gone"

    def __init__(self) -> None:
        super().__init__("This conversation was forgotten while the reply was being written.")


class ConversationExists(DomainError):
    """A conversation with this id exists; it was not changed."""

    code = "conversation_exists"

    def __init__(self) -> None:
        super().__init__("A conversation with this id already exists.")


class MessageNotFound(DomainError):
    """The conversation has no such message."""

    code = "message_not_found"

    def __init__(self) -> None:
        super().__init__("The conversation has no such message.")


class TurnNotFound(DomainError):
    """The conversation has no such turn, or does not exist."""

    code = "turn_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such turn, or it has been forgotten.")


class NothingToAnswer(DomainError):
    """The conversation has no user message to reply to."""

    code = "nothing_to_answer"

    def __init__(self) -> None:
        super().__init__("There is no message to answer.")


class NothingToContinue(DomainError):
    """The last message is not a reply that ended early, or it cannot become longer."""

    code = "nothing_to_continue"

    def __init__(self) -> None:
        super().__init__("There is no reply to continue.")


class ConversationFull(DomainError):
    """The conversation has reached its size limit or its limit on messages."""

    code = "conversation_full"

    def __init__(self) -> None:
        super().__init__("This conversation is full; please start a new one.")


class ConversationMovedOn(DomainError):
    """The request would delete messages of the user that its sender has not seen."""

    code = "conversation_moved_on"

    def __init__(self) -> None:
        super().__init__("This conversation has newer messages, which would be deleted.")


class TurnInProgress(DomainError):
    """A turn is open.

    Attributes:
        turn_id: the open turn.
        can_interrupt: whether the request could succeed once that turn is stopped. If not,
            stopping it would only lose a reply.
        retry_after: when the same request can succeed, because the turn has fallen silent or was
            stopped; None if the turn is running.
    """

    code = "turn_in_progress"

    def __init__(self, turn_id: str, *, can_interrupt: bool = True) -> None:
        super().__init__("A reply is still being written in this conversation.")
        self.turn_id = turn_id
        self.can_interrupt = can_interrupt
        self.retry_after: timedelta | None = None


class TurnSuperseded(DomainError):
    """The turn is no longer the open one; its writer must stop."""

    code = "turn_superseded"

    def __init__(self) -> None:
        super().__init__("This turn is no longer the open one.")


class IdempotencyKeyReused(DomainError):
    """The Idempotency-Key was used before with a different request."""

    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used with a different request.")


class RequestAlreadyAnswered(DomainError):
    """An older turn of the conversation had this Idempotency-Key; nothing was changed."""

    code = "request_already_answered"

    def __init__(self) -> None:
        super().__init__("A request with this Idempotency-Key was answered before.")


class OlderMessagesNeeded(DomainError):
    """The change needs messages that are not loaded; the store loads all and repeats it."""

    code = "older_messages_needed"

    def __init__(self) -> None:
        super().__init__("Older messages are needed.")
