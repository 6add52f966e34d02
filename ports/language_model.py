"""The language model, and how it can fail.

    ModelError                   the language model failed
    ├── ModelUnavailable         no connection, or a 408 or 5xx response
    ├── ModelBusy                429
    ├── ModelTimedOut            it was silent for too long
    ├── ModelRejectedCredentials 401 or 403
    ├── ModelRejectedRequest     another 4xx response that has none of the causes below
    ├── ContextExceeded          the prompt is too long for the model
    ├── ContentFiltered          the provider's content filter refused the prompt or the whole reply
    └── MalformedStream          it sent something that is not a reply

A branch of ``ports.errors.PortError``.
"""

from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Protocol

from attrs import frozen

from domain.model.piece import ModelFinished, ModelPiece
from domain.model.prompt import Prompt
from ports.errors import PortError


class LanguageModel(Protocol):
    """A chat model that streams."""

    @property
    def name(self) -> str:
        """The model's name in prices, logs and metadata."""
        ...

    def reply(self, prompt: Prompt) -> AsyncGenerator[ModelPiece | ModelFinished, None]:
        """Stream the reply: pieces as they arrive, none of them empty, then ``ModelFinished``.

        Closing the generator closes the connection to the model at once. Only failures before the
        first piece are retried.

        Raises:
            ModelError: one of its subclasses in this module.
        """
        ...


@frozen(kw_only=True)
class FailureDetails:
    """What the operator's log says about a failure, besides its code; never what people wrote.

    Attributes:
        host: the model server's host and port.
        status, provider_code: HTTP status and error code of its response.
        reason: a word for why there was no usable response, such as ``refused``.
        parameter: the parameter of the operator that the server rejects.
    """

    host: str | None = None
    status: int | None = None
    provider_code: str | None = None
    reason: str | None = None
    parameter: str | None = None


class ModelError(PortError):
    """The language model failed.

    Attributes:
        details: for the operator's log.
    """

    code = "model_failed"
    message = "The language model failed."

    def __init__(self, details: FailureDetails | None = None) -> None:
        super().__init__()
        self.details = details or FailureDetails()


class ModelUnavailable(ModelError):
    """The model server could not be reached, or answered with a server error."""

    code = "model_unavailable"
    message = "The language model is not available."


class ModelBusy(ModelError):
    """The model server accepts no more requests for now.

    Attributes:
        retry_after: how long the server asks us to wait; None if it does not say.
    """

    code = "model_busy"
    message = "The language model is busy."

    def __init__(self, retry_after: timedelta | None = None) -> None:
        super().__init__()
        self.retry_after = retry_after


class ModelTimedOut(ModelError):
    """The model was silent for too long."""

    code = "model_timeout"
    message = "The language model did not answer in time."


class ModelRejectedCredentials(ModelError):
    """The model server does not accept our credentials; the operator has to fix this."""

    code = "model_credentials_rejected"
    message = "The language model does not accept this server's credentials."


class ModelRejectedRequest(ModelError):
    """The model server rejects our request as invalid.

    Attributes:
        option: the field of ``ReplyOptions`` because of which it does; None if it names none that
            the caller set.
    """

    code = "model_request_rejected"
    message = "The language model refused the request."

    def __init__(self, option: str | None = None) -> None:
        super().__init__()
        self.option = option


class ContextExceeded(ModelError):
    """The prompt is too long for the model.

    Attributes:
        window: the model's context window in tokens; None if the server does not name it.
        prompt_tokens: the tokens of the prompt, as the server counted them; None as above.
    """

    code = "model_context_exceeded"
    message = "The conversation is too long for the language model."

    def __init__(
        self,
        details: FailureDetails | None = None,
        *,
        window: int | None = None,
        prompt_tokens: int | None = None,
    ) -> None:
        super().__init__(details)
        self.window = window
        self.prompt_tokens = prompt_tokens


class ContentFiltered(ModelError):
    """The provider's content filter refused the prompt, or suppressed the whole reply."""

    code = "model_content_filtered"
    message = "The language model's content filter refused to answer."


class MalformedStream(ModelError):
    """The model server sent something that is not a reply, or broke off in the middle of one."""

    code = "model_stream_malformed"
    message = "The language model's reply was damaged."
