"""The operator's hook, which prepares a turn before the model is asked, and how it can fail.

    HookError                the hook failed
    ├── HookUnavailable      no connection, or a response that is not a success
    ├── HookTimedOut         it did not answer in time
    └── HookAnswerInvalid    its answer is invalid

A branch of ``ports.errors.PortError``.
"""

from typing import Protocol

from attrs import frozen

from domain.model.preparation import Preparation, Question
from ports.errors import PortError


class TurnHook(Protocol):
    """Prepares turns: instructions, passages, a prepared reply, tools, options, a state."""

    async def prepare(self, question: Question) -> Preparation:
        """What the hook wants for this turn. It may be asked again with the same ``turn_id``.

        Cancelling the call closes the connection to the hook at once.

        Raises:
            HookError: one of its subclasses in this module.
        """
        ...


@frozen(kw_only=True)
class HookFailure:
    """What the operator's log says about a failure, besides its code; never what people wrote.

    Attributes:
        host: the hook's host and port.
        status: HTTP status of the response; None if there was none.
        reason: a word for what is wrong, such as ``refused`` or ``too-long``.
        field: the path of the wrong field in the answer, such as ``passages[2].url``.
    """

    host: str | None = None
    status: int | None = None
    reason: str | None = None
    field: str | None = None


class HookError(PortError):
    """The hook failed.

    Attributes:
        details: for the operator's log.
    """

    code = "hook_failed"
    message = "The service that prepares the reply failed."

    def __init__(self, details: HookFailure | None = None) -> None:
        super().__init__()
        self.details = details or HookFailure()


class HookUnavailable(HookError):
    """The hook could not be reached, or its response was not a success."""

    code = "hook_unavailable"
    message = "The service that prepares the reply is not available."


class HookTimedOut(HookError):
    """The hook did not answer in time."""

    code = "hook_timeout"
    message = "The service that prepares the reply did not answer in time."


class HookAnswerInvalid(HookError):
    """The hook's answer is invalid, or the prompt has no room for it."""

    code = "hook_answer_invalid"
    message = "The service that prepares the reply sent an invalid answer."
