"""Members of a body: which are there, and a clear refusal that names the one that is wrong."""

from collections.abc import Iterable, Mapping, Set
from typing import Any, Final, NoReturn, TypeVar

import msgspec
from starlette.requests import Request

from entrypoints.http.problems import BadRequest
from entrypoints.http.requests import read_json

_EMPTY: Final[tuple[Any, ...]] = (None, False, 0, "", [], {})
_Kind = TypeVar("_Kind")


async def read_members(request: Request) -> tuple[dict[str, Any], bytes]:
    """The body as an object, and its bytes; none counts as an empty object.

    Raises:
        BadRequest: it is none.
    """
    raw = await read_json(request)
    try:
        body = msgspec.json.decode(raw or b"{}")
    except RecursionError:
        raise BadRequest("body_invalid", "The body is nested too deeply.") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        # The cause may repeat what was sent.
        raise BadRequest("body_not_json", "The body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise BadRequest("body_invalid", "The body is a JSON object.")
    return body, raw


def invalid(path: str, expected: str) -> NoReturn:
    """Refuse a member, saying what is expected."""
    raise BadRequest("body_invalid", f"'{path}' must be {expected}.", field=path)


def unsupported(path: str, instead: str = "") -> NoReturn:
    """Refuse a member that OpenAI defines and this service does not have."""
    why = f"'{path}' is not supported by this service.{' ' if instead else ''}{instead}"
    raise BadRequest("parameter_unsupported", why, field=path)


def reject_unsupported(body: Mapping[str, Any], names: Iterable[str]) -> None:
    """Refuse what we lack, unless it is empty and so asks for nothing."""
    for name in names:
        if body.get(name) not in _EMPTY:
            unsupported(name)


def member(
    body: Mapping[str, Any], name: str, kind: type[_Kind], expected: str, path: str = ""
) -> _Kind | None:
    """A member of this kind; absent and null are the same.

    Raises:
        BadRequest: it is something else.
    """
    value: Any = body.get(name)
    if value is None:
        return None
    is_number = kind is float and isinstance(value, int) and not isinstance(value, bool)
    if not (isinstance(value, kind) or is_number) or (kind is int and isinstance(value, bool)):
        invalid(path + name, expected)
    found: _Kind = value
    return found


def required(
    body: Mapping[str, Any], name: str, kind: type[_Kind], expected: str, path: str = ""
) -> _Kind:
    """A member of this kind that has to be there."""
    value = member(body, name, kind, expected, path)
    if value is None:
        invalid(path + name, expected)
    return value


def one_of(body: Mapping[str, Any], name: str, words: Set[str], path: str = "") -> str | None:
    """A member that is one of ``words``, absent without it."""
    value = member(body, name, str, "a string", path)
    if value is not None and value not in words:
        unsupported(path + name, f"Known: {', '.join(sorted(words))}.")
    return value
