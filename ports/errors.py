"""What the world failed at.

    PortError                        the world failed; nothing the caller sent was wrong
    ├── StoreUnavailable             the store did not answer; the outcome may be unknown
    ├── StoredStateUnreadable        something is stored that does not open: never an empty history
    ├── ConversationBusy             too many writers at once
    ├── TurnNotLogged                this turn has no log (any more)
    ├── TooManyTurns                 this process runs as many turns as it may
    ├── ShuttingDown                 this process takes no new turns
    ├── TooManyRequests              the caller used up its share for now
    ├── ClientKeyInvalid             the credential was not made by this service
    └── ModelError                   the language model failed
        ├── ModelUnavailable         no connection, or a 5xx answer
        ├── ModelBusy                429
        ├── ModelTimedOut            silent for too long
        ├── ModelRejectedCredentials 401 or 403
        ├── ModelRejectedRequest     any other 4xx
        ├── ContextExceeded          the prompt is too long for the model
        ├── ContentFiltered          the provider's filter refused
        └── MalformedStream          it sent what is not a reply

The other root, ``domain.model.errors.DomainError``, is the caller's to mend. Every class has a
stable ``code``; no message carries what people wrote, a key or a URL's password.
"""

from datetime import timedelta
from typing import ClassVar


class PortError(Exception):
    """The world failed. ``code`` is stable and public."""

    code: ClassVar[str] = "port_error"


class StoreUnavailable(PortError):
    """The store did not answer.

    Attributes:
        doing: which operation failed, in the words of the port.
    """

    code = "store_unavailable"

    def __init__(self, doing: str) -> None:
        super().__init__(f"The store is unavailable ({doing}).")
        self.doing = doing


class StoredStateUnreadable(PortError):
    """Something is stored under this id that does not open; it was left as it is."""

    code = "stored_state_unreadable"

    def __init__(self) -> None:
        super().__init__("The stored conversation cannot be read.")


class ConversationBusy(PortError):
    """Other writers were faster for too long; nothing was changed."""

    code = "conversation_busy"

    def __init__(self) -> None:
        super().__init__("Too many changes to this conversation at once.")


class TurnNotLogged(PortError):
    """The turn has no log: never had one, it has been deleted, or another turn's took its place."""

    code = "turn_not_logged"

    def __init__(self) -> None:
        super().__init__("This turn has no log.")


class TooManyTurns(PortError):
    """This process runs as many turns as it may; nothing was changed."""

    code = "too_many_turns"

    def __init__(self) -> None:
        super().__init__("Too many replies are being written at the moment.")


class ShuttingDown(PortError):
    """This process takes no new turns; nothing was changed."""

    code = "shutting_down"

    def __init__(self) -> None:
        super().__init__("This server is being restarted.")


class TooManyRequests(PortError):
    """The caller used up its share.

    Attributes:
        retry_after: when there is room again.
    """

    code = "too_many_requests"

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__("Too many requests from your address; please try again later.")
        self.retry_after = retry_after


class ClientKeyInvalid(PortError):
    """The credential is not a client key of this service."""

    code = "client_key_invalid"

    def __init__(self) -> None:
        super().__init__("This is not a valid client key; POST /api/client-key issues one.")


class ModelError(PortError):
    """The language model failed."""

    code = "model_failed"
    sentence: ClassVar[str] = "The language model failed."

    def __init__(self) -> None:
        super().__init__(self.sentence)


class ModelUnavailable(ModelError):
    """The model's server could not be reached, or answered that it cannot work."""

    code = "model_unavailable"
    sentence = "The language model is not available."


class ModelBusy(ModelError):
    """The model's server has no room.

    Attributes:
        retry_after: when it says to come back; absent when it does not.
    """

    code = "model_busy"
    sentence = "The language model is busy."

    def __init__(self, retry_after: timedelta | None = None) -> None:
        super().__init__()
        self.retry_after = retry_after


class ModelTimedOut(ModelError):
    """The model was silent for too long."""

    code = "model_timeout"
    sentence = "The language model did not answer in time."


class ModelRejectedCredentials(ModelError):
    """The model's server does not accept our credentials: the operator's to mend."""

    code = "model_credentials_rejected"
    sentence = "The language model does not accept this server's credentials."


class ModelRejectedRequest(ModelError):
    """The model's server finds our request wrong."""

    code = "model_request_rejected"
    sentence = "The language model refused the request."


class ContextExceeded(ModelError):
    """The prompt is too long for the model."""

    code = "model_context_exceeded"
    sentence = "The conversation is too long for the language model."


class ContentFiltered(ModelError):
    """The provider's content filter refused the prompt."""

    code = "model_content_filtered"
    sentence = "The language model's content filter refused to answer."


class MalformedStream(ModelError):
    """The model's server sent what is no reply, or broke off in the middle of one."""

    code = "model_stream_malformed"
    sentence = "The language model's reply was damaged."
