"""Failures that the caller did not cause.

    PortError                        something this service needs has failed
    ├── StoreUnavailable             the store did not answer; a write may have succeeded
    ├── StoredStateUnreadable        stored data is damaged; it is not treated as missing
    ├── ConversationBusy             too many concurrent updates
    ├── TurnLogNotFound              this turn has no log (any more)
    ├── TooManyTurns                 this process is already running its maximum number of turns
    ├── ShuttingDown                 this process is ending
    ├── TooManyRequests              a limit on what callers may use would be exceeded
    │   └── BudgetExhausted          the model tokens of a day are used up
    ├── ClientKeyInvalid             the client key was not issued by this service
    ├── HookError                    the operator's hook failed: see ports.turn_hook
    └── ModelError                   the language model failed: see ports.language_model

The other root, ``domain.model.errors.DomainError``, is for errors that the caller can act on. Every
class has a stable ``code``; no message contains what people wrote, a key or a password.
"""

from datetime import timedelta
from typing import ClassVar

from domain.model.identifiers import TurnRef
from domain.model.rate_limits import Limit


class PortError(Exception):
    """Something failed. ``code`` is stable and public, ``message`` is a sentence for people."""

    code: ClassVar[str] = "port_error"
    message: ClassVar[str] = "Something this service needs has failed."

    def __init__(self) -> None:
        super().__init__(self.message)


class StoreUnavailable(PortError):
    """The store did not answer; a write may have succeeded anyway.

    Attributes:
        operation: the store operation that failed, such as ``load``.
        turn_ref: the turn that may have been opened; None if none was being opened.
    """

    code = "store_unavailable"
    message = "The store is unavailable."

    def __init__(self, operation: str) -> None:
        super().__init__()
        self.operation = operation
        self.turn_ref: TurnRef | None = None


class StoredStateUnreadable(PortError):
    """The stored data cannot be decrypted or decoded; it was not changed."""

    code = "stored_state_unreadable"
    message = "The stored conversation cannot be read."


class ConversationBusy(PortError):
    """Too many concurrent updates; nothing was changed."""

    code = "conversation_busy"
    message = "Too many changes to this conversation at once."


class TurnLogNotFound(PortError):
    """The turn has no log: it never had one, it was deleted, or a newer turn replaced it."""

    code = "turn_not_logged"
    message = "This turn has no log."


class TooManyTurns(PortError):
    """This process is already running its maximum number of turns; nothing was changed."""

    code = "too_many_turns"
    message = "Too many replies are being written at the moment."


class ShuttingDown(PortError):
    """This process accepts no new turns, or ended before it knew whether this one was opened."""

    code = "shutting_down"
    message = "This server is being restarted."


class TooManyRequests(PortError):
    """A limit would be exceeded; nothing was counted.

    Attributes:
        limit: the limit.
        remaining: how much of it is left.
        retry_after: when the same request can succeed.
    """

    code = "too_many_requests"
    message = "Too many requests; please try again later."

    def __init__(self, limit: Limit, remaining: int, retry_after: timedelta) -> None:
        super().__init__()
        self.limit = limit
        self.remaining = remaining
        self.retry_after = retry_after


class BudgetExhausted(TooManyRequests):
    """The model tokens of a day are used up, either in total or by the callers from one address."""

    code = "budget_exhausted"
    message = "The model tokens for today are used up; please try again later."


def limit_error(limit: Limit, *, remaining: int, retry_after: timedelta) -> TooManyRequests:
    """The error for a request that would exceed ``limit``."""
    kind = BudgetExhausted if limit.is_daily_budget else TooManyRequests
    return kind(limit, remaining, retry_after)


class ClientKeyInvalid(PortError):
    """The credential is not a client key of this service."""

    code = "client_key_invalid"
    message = "This is not a valid client key; POST /api/client-key issues one."
