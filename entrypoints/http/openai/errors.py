"""Problems in OpenAI's format: ``{"error": {message, type, param, code}}``."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

from msgspec import UNSET
from starlette.responses import Response

from domain.model.errors import InvalidInput, NothingToAnswer, TurnNotFound
from domain.model.rate_limits import Quota
from entrypoints.http.documents import json_response
from entrypoints.http.openai.documents import ErrorDetails, ErrorDocument
from entrypoints.http.problems import BadRequest, Problem

PREFIX: Final = "/v1/"
"""Clients of paths with this prefix expect OpenAI's format."""

_LONGEST_RETRY: Final = timedelta(minutes=1)
"""Many versions of OpenAI's clients ignore a longer wait, and try again within seconds."""

_CONTENT_HEADERS: Final = frozenset({"content-type", "content-length"})


def openai_error(problem: Problem) -> Response:
    """The response to a problem.

    OpenAI's clients retry 409 and 5xx by themselves, without an idempotency key. The response
    forbids that, unless nothing has been changed and a retry can help.
    """
    headers = {
        name: value
        for name, value in problem.response().headers.items()
        if name not in _CONTENT_HEADERS
    }
    if problem.retry_after is None or problem.retry_after > _LONGEST_RETRY:
        headers["x-should-retry"] = "false"
    document = ErrorDocument(error=error_details(problem))
    return json_response(document, status=problem.status, headers=headers)


def error_details(problem: Problem) -> ErrorDetails:
    """A problem as OpenAI's error object."""
    details: Any = problem.document()["error"]
    if problem.limit is not None:
        # These two are what OpenAI sends, and what its clients and the tools around them look for.
        kind = "tokens" if problem.limit[0].quota is Quota.TOKENS else "requests"
        details = {**details, "type": kind, "code": "rate_limit_exceeded"}
    return ErrorDetails(**details, turn_id=problem.extra.get("turnId", UNSET))


def invalid(path: str, expected: str) -> BadRequest:
    """The error for a member or parameter with an invalid value."""
    return BadRequest("body_invalid", f"Invalid '{path}': expected {expected}.", field=path)


def unsupported(path: str, why: str | None = None) -> BadRequest:
    """The error for something that OpenAI defines and this service does not support."""
    why = why or f"'{path}' is not supported by this service."
    return BadRequest("parameter_unsupported", why, field=path)


def too_long(name: str, limit: int) -> BadRequest:
    """The error for a parameter with more than ``limit`` bytes of JSON."""
    why = f"'{name}' has at most {limit:,} bytes of JSON."
    return BadRequest("parameter_too_long", why, field=name)


@contextmanager
def continuing() -> Iterator[None]:
    """Report a missing turn, or a missing message to answer, as a mistake in a parameter.

    Raises:
        BadRequest: ``previous_response_not_found``; ``body_invalid`` if there is no message.
    """
    try:
        yield
    except TurnNotFound:
        why = "The previous response does not exist, or has been forgotten."
        field = "previous_response_id"
        raise BadRequest("previous_response_not_found", why, field=field) from None
    except NothingToAnswer:
        why = "There is no message to answer: 'input' has none, and neither has the conversation."
        raise BadRequest("body_invalid", why, field="input") from None


@contextmanager
def naming(member: str) -> Iterator[None]:
    """Report a mistake in the items as one in ``member``, from which they were read.

    Raises:
        BadRequest: the code of the mistake.
    """
    try:
        yield
    except InvalidInput as error:
        raise BadRequest(error.problem, str(error), field=member) from None
    except NothingToAnswer as error:
        raise BadRequest("body_invalid", str(error), field=member) from None
