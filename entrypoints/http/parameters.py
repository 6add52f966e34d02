"""What stands in paths and query strings."""

from typing import Final

from starlette.requests import Request

from domain.model.errors import InvalidInput
from domain.model.identifiers import SessionId, session_id
from entrypoints.http.problems import BadRequest

_PAGE: Final = 100
_LONGEST_PAGE: Final = 500
_HIGHEST_NUMBER: Final = 2**53


def path_name(request: Request) -> str:
    """What the path calls the conversation: its session id, or the client's own name for it."""
    name: str = request.path_params["id"]
    return name


def query_session(request: Request) -> SessionId:
    """The conversation that ``sessionId`` names.

    Raises:
        BadRequest: ``session_id_missing``.
        InvalidInput: ``session_id_malformed``.
    """
    wanted = request.query_params.get("sessionId")
    if not wanted:
        raise BadRequest("session_id_missing", "Which conversation?", field="sessionId")
    return session_id(wanted)


def page_wanted(request: Request) -> tuple[int | None, int]:
    """``before``, absent for the newest page, and ``limit``.

    Raises:
        InvalidInput: one of them is no whole number, or out of bounds.
    """
    before = request.query_params.get("before")
    limit = request.query_params.get("limit", str(_PAGE))
    return (
        None if before is None else _whole(before, "before", _HIGHEST_NUMBER),
        _whole(limit, "limit", _LONGEST_PAGE),
    )


def _whole(text: str, name: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 17 and 1 <= int(text) <= most):  # noqa: PLR2004 - digits of 2**53
        raise InvalidInput("invalid_input", f"{name} is a whole number from 1.", field=name)
    return int(text)
