"""Problems in OpenAI's shape: ``{"error": {message, type, param, code}}``."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from msgspec import UNSET
from starlette.responses import Response

from domain.model.errors import TurnNotFound
from entrypoints.http.documents import json_response
from entrypoints.http.openai.documents import ErrorDetails, ErrorDocument
from entrypoints.http.problems import BadRequest, Problem

PREFIX: Final = "/v1/"
"""The paths whose callers expect OpenAI's shape."""

_OF_THE_CONTENT: Final = frozenset({"content-type", "content-length"})


def openai_error(problem: Problem) -> Response:
    """The response to a problem.

    OpenAI's clients repeat 409 and 5xx by themselves and without an idempotency key. The response
    forbids that, unless nothing has happened yet and a retry helps.
    """
    details: Any = problem.document()["error"]
    error = ErrorDetails(**details, turn_id=problem.extra.get("turnId", UNSET))
    headers = {
        name: value
        for name, value in problem.response().headers.items()
        if name not in _OF_THE_CONTENT
    }
    if problem.retry_after is None:
        headers["x-should-retry"] = "false"
    return json_response(ErrorDocument(error=error), status=problem.status, headers=headers)


def invalid(path: str, expected: str) -> BadRequest:
    """A member or parameter that is not what is expected."""
    return BadRequest("body_invalid", f"Invalid '{path}': expected {expected}.", field=path)


def unsupported(path: str, why: str | None = None) -> BadRequest:
    """Something that OpenAI defines and this service does not support."""
    why = why or f"'{path}' is not supported by this service."
    return BadRequest("parameter_unsupported", why, field=path)


@contextmanager
def continuing() -> Iterator[None]:
    """Report a turn that does not exist as the previous response that the request named.

    Raises:
        BadRequest: ``previous_response_not_found``.
    """
    try:
        yield
    except TurnNotFound:
        why = "The previous response does not exist, or has been forgotten."
        field = "previous_response_id"
        raise BadRequest("previous_response_not_found", why, field=field) from None
