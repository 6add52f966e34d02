"""Problems in OpenAI's shape: ``{"error": {message, type, param, code}}``."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
from starlette.responses import Response

from domain.model.errors import TurnNotFound
from entrypoints.http.problems import BadRequest, Problem

PREFIX = "/v1/"


def is_ours(path: str) -> bool:
    """Whether whoever calls this address expects OpenAI's shape."""
    return path.startswith(PREFIX)


def openai_error(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """The problem as OpenAI's clients know problems.

    They repeat 409 and 5xx by themselves and without an idempotency key, so they are told not to,
    unless nothing has happened yet and coming back helps.
    """
    response = problem.response()
    error = {**error_of(problem), **({"turn_id": turn} if (turn := _turn_of(problem)) else {})}
    told = {name: value for name, value in response.headers.items() if name not in _OWN}
    if problem.retry_after is None:
        told["x-should-retry"] = "false"
    return Response(
        msgspec.json.encode({"error": error}),
        status_code=problem.status,
        media_type="application/json",
        headers={**told, **(headers or {})},
    )


def error_of(problem: Problem) -> dict[str, object]:
    """The members that OpenAI's clients read."""
    error: Any = problem.document()["error"]
    return dict(error)


def _turn_of(problem: Problem) -> str | None:
    return problem.extra.get("turnId")


_OWN = frozenset({"content-type", "content-length"})


@contextmanager
def continuing() -> Iterator[None]:
    """Report a turn that does not exist as the previous response that was named.

    Raises:
        BadRequest: ``previous_response_not_found``.
    """
    try:
        yield
    except TurnNotFound:
        raise previous_not_found() from None


def previous_not_found() -> BadRequest:
    """There is no response that could be continued."""
    why = "The previous response is not there, or has been forgotten."
    return BadRequest("previous_response_not_found", why, field="previous_response_id")


def invalid(path: str, expected: str) -> BadRequest:
    """A member or parameter that is not what is expected."""
    return BadRequest("body_invalid", f"Invalid '{path}': expected {expected}.", field=path)


def unsupported(path: str, why: str | None = None) -> BadRequest:
    """What OpenAI defines and this service does not support."""
    why = why or f"'{path}' is not supported by this service."
    return BadRequest("parameter_unsupported", why, field=path)
