"""The bytes of a body: JSON by its own account, bounded in size and time.

What every protocol takes of a body: parsed strictly into a type, its errors told without content.

What stands in paths and query strings.

What a request's headers wish for: a representation, a language.
"""

import asyncio
import hashlib
import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final, Literal, TypeVar

import msgspec
from msgspec import Struct
from starlette.requests import ClientDisconnect, Request

from domain.model.errors import InvalidInput
from domain.model.identifiers import SessionId, session_id
from domain.model.turn import IdempotencyKey
from entrypoints.http.problems import BadRequest

MAX_BODY_BYTES: Final = 131_072
BODY_WITHIN: Final = timedelta(seconds=10)


def check_size(raw: bytes | bytearray, most: int = MAX_BODY_BYTES) -> None:
    """Refuse more than ``most`` bytes.

    Raises:
        BadRequest: ``body_too_large``.
    """
    if len(raw) > most:
        raise BadRequest("body_too_large", f"A body has at most {most:,} bytes.")


def usual_bound(_: bytes) -> int:
    """How many bytes a body may have, whatever it begins with."""
    return MAX_BODY_BYTES


async def read_json(request: Request, bound: Callable[[bytes], int] = usual_bound) -> bytes:
    """The bytes of a body that says it is JSON; ``bound`` tells by its beginning how many at most.

    Raises:
        BadRequest: it says it is something else, is too large, or broke off.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise BadRequest("unsupported_media_type", "Bodies are application/json.")
    return await _bytes_of(request, bound)


async def _bytes_of(request: Request, bound: Callable[[bytes], int]) -> bytes:
    read = bytearray()
    try:
        async with asyncio.timeout(BODY_WITHIN.total_seconds()):
            async for chunk in request.stream():
                read += chunk
                if len(read) > MAX_BODY_BYTES:
                    check_size(read, bound(bytes(read[:MAX_BODY_BYTES])))
    except TimeoutError:
        raise BadRequest("body_too_slow", "The body did not arrive in time.") from None
    except ClientDisconnect:
        raise BadRequest("body_incomplete", "The body broke off.") from None
    return bytes(read)


_IDEMPOTENCY_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_PATH_IN_ERROR: Final = re.compile(r" - at `\$\.?(?P<field>[A-Za-z]{1,32})[^`]*`$")
_UNKNOWN_FIELD: Final = re.compile(r"unknown field `(?P<field>[A-Za-z0-9_-]{1,32})`")

OnBusyWord = Literal["reject", "interrupt"]


class NativeBody(Struct, forbid_unknown_fields=True, rename="camel"):
    """A body of the native protocol: members it does not know are refused."""


class EmptyBody(NativeBody):
    """Nothing; ``{}`` or no bytes."""


Body = TypeVar("Body")


async def read_body(request: Request, kind: type[Body]) -> tuple[Body, bytes]:
    """The parsed body, and its bytes.

    Raises:
        BadRequest: what is wrong with it; nothing of its content is repeated.
    """
    raw = await read_json(request)
    return parse(raw or b"{}", kind), raw


def parse(raw: bytes, kind: type[Body]) -> Body:
    """The body that ``raw`` holds.

    Raises:
        BadRequest: ``body_not_json`` or ``body_invalid``.
    """
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        # The cause may repeat what was sent.
        raise BadRequest(
            "body_invalid", "The body is not what is expected here.", field=_field_of(str(error))
        ) from None
    except RecursionError:
        raise BadRequest("body_invalid", "The body is nested too deeply.") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadRequest("body_not_json", "The body is not valid JSON.") from None


def _field_of(message: str) -> str | None:
    found = _UNKNOWN_FIELD.search(message) or _PATH_IN_ERROR.search(message)
    return found["field"] if found else None


def idempotency_key(request: Request, raw: bytes) -> tuple[str | None, IdempotencyKey | None]:
    """The Idempotency-Key as sent and as digests; both absent without one.

    Raises:
        BadRequest: ``idempotency_key_malformed``.
    """
    key = request.headers.get("idempotency-key")
    if key is None:
        return None, None
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        why = "An Idempotency-Key is 1 to 255 visible ASCII characters."
        raise BadRequest("idempotency_key_malformed", why)
    asked = request.url.path.encode() + b"\0" + raw
    return key, IdempotencyKey(
        digest=hashlib.sha256(key.encode()).digest(), body_digest=hashlib.sha256(asked).digest()
    )


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


def wants_json(request: Request) -> bool:
    """Whether a whole JSON document is asked for instead of a stream."""
    accepted = request.headers.get("accept", "").lower()
    return "application/json" in accepted and "text/event-stream" not in accepted


def wanted_locales(request: Request, in_body: str | None, *, first: bool) -> Sequence[str]:
    """Wanted locales, best first: the body's, the path prefix's, and for a first message the
    browser's. Empty when a later message names none.
    """  # noqa: D205 - the promise is one sentence
    told = [tag for tag in (in_body, getattr(request.state, "locale", None)) if tag]
    if told or not first:
        return told
    return _accepted_languages(request.headers.get("accept-language", ""))


def _accepted_languages(header: str) -> Sequence[str]:
    """The tags of an Accept-Language header (RFC 9110, section 12.5.4), best first."""
    weighted = [_weighted(item) for item in header.split(",")[:32]]
    ordered = sorted(weighted, key=lambda item: -item[1])
    return [tag for tag, weight in ordered if tag and tag != "*" and weight > 0]


def _weighted(item: str) -> tuple[str, float]:
    tag, _, quality = item.partition(";")
    _, _, number = quality.partition("=")
    try:
        return tag.strip(), float(number) if number.strip() else 1.0
    except ValueError:
        return tag.strip(), 0.0
