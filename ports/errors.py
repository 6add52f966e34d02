"""What the world failed at.

    PortError                        the world failed; nothing the caller sent was wrong
    ├── StoreUnavailable             the store did not answer; the outcome may be unknown
    ├── StoredStateUnreadable        something is stored that does not open: never an empty history
    ├── ConversationBusy             too many writers at once
    ├── TurnLogNotFound              this turn has no log (any more)
    ├── TooManyTurns                 this process runs as many turns as it may
    ├── ShuttingDown                 this process takes no new turns
    ├── TooManyRequests              the caller used up its share for now
    ├── ClientKeyInvalid             the credential was not made by this service
    └── ModelError                   the language model failed: see ports.language_model

The other root, ``domain.model.errors.DomainError``, is the caller's to mend. Every class has a
stable ``code``; no message carries what people wrote, a key or a URL's password.
"""

from datetime import timedelta
from typing import ClassVar

from domain.model.identifiers import TurnRef


class PortError(Exception):
    """The world failed. ``code`` is stable and public, ``message`` says it to people."""

    code: ClassVar[str] = "port_error"
    message: ClassVar[str] = "Something this service needs has failed."

    def __init__(self) -> None:
        super().__init__(self.message)


class StoreUnavailable(PortError):
    """The store did not answer; what was to be written may be stored all the same.

    Attributes:
        doing: the operation, in the words of the port.
        turn_ref: the turn that may have been opened; None if none was being opened.
    """

    code = "store_unavailable"
    message = "The store is unavailable."

    def __init__(self, doing: str) -> None:
        super().__init__()
        self.doing = doing
        self.turn_ref: TurnRef | None = None


class StoredStateUnreadable(PortError):
    """Something is stored under this id that does not open; it was left as it is."""

    code = "stored_state_unreadable"
    message = "The stored conversation cannot be read."


class ConversationBusy(PortError):
    """Other writers were faster for too long; nothing was changed."""

    code = "conversation_busy"
    message = "Too many changes to this conversation at once."


class TurnLogNotFound(PortError):
    """The turn has no log: never had one, it has been deleted, or another turn's took its place."""

    code = "turn_not_logged"
    message = "This turn has no log."


class TooManyTurns(PortError):
    """This process runs as many turns as it may; nothing was changed."""

    code = "too_many_turns"
    message = "Too many replies are being written at the moment."


class ShuttingDown(PortError):
    """This process takes no new turns; nothing was changed."""

    code = "shutting_down"
    message = "This server is being restarted."


class TooManyRequests(PortError):
    """The caller used up its share; there is room again after ``retry_after``."""

    code = "too_many_requests"
    message = "Too many requests from your address; please try again later."

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__()
        self.retry_after = retry_after


class ClientKeyInvalid(PortError):
    """The credential is not a client key of this service."""

    code = "client_key_invalid"
    message = "This is not a valid client key; POST /api/client-key issues one."
