"""Reads requests of all protocols: bodies, path and query parameters, headers.

No error repeats what was sent.
"""

import asyncio
import gc
import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Annotated, Final, Literal, TypeVar

import msgspec
from msgspec import Meta, Raw
from starlette.requests import ClientDisconnect, Request

from domain.model.assistant import is_language_tag_short
from domain.model.errors import InvalidInput
from domain.model.identifiers import SessionId, session_id
from domain.model.limits import (
    DEFAULT_MESSAGE_CHARACTERS,
    MAX_JSON_DEPTH,
    MAX_LANGUAGE_SUBTAGS,
    MAX_LANGUAGE_TAG_CHARACTERS,
    MAX_LANGUAGE_TAGS,
    MessageLimit,
)
from domain.model.turn import IdempotencyKey
from domain.service.user_input import (
    brackets_of,
    nesting_levels,
    nests_too_deeply,
    page_context,
)
from entrypoints.http.authentication import ON_BEHALF_OF_HEADER
from entrypoints.http.problems import BadRequest

MAX_BODY_BYTES: Final = 131_072
JSON: Final = "application/json"
BODY_TIMEOUT: Final = timedelta(seconds=10)
BODY_BYTES_PER_SECOND: Final = 250_000
"""A body may arrive this slowly after ``BODY_TIMEOUT``, so that a phone can send images."""
NESTED_TOO_DEEPLY: Final = f"JSON can be nested at most {MAX_JSON_DEPTH} levels deep."

Body = TypeVar("Body")
LocaleMember = Annotated[
    str,
    Meta(
        max_length=MAX_LANGUAGE_TAG_CHARACTERS,
        pattern=rf"^[^-_]*([-_][^-_]*){{0,{MAX_LANGUAGE_SUBTAGS - 1}}}$",
        description="A BCP 47 tag of at most 35 characters and 8 subtags.",
    ),
]
PageContextMember = Annotated[
    Raw, Meta(description="JSON about the page the user is on; at most 8 kB.")
]
OnBusyChoice = Literal["reject", "interrupt"]
OnBusyMember = Annotated[
    OnBusyChoice | None, Meta(description="What to do about a reply still being written.")
]

_CHARACTER_MAX_BYTES: Final = len(r"\ud83d\ude00")
"""What the longest character takes in JSON."""
_MEMBER_NAME: Final = re.compile(r"[A-Za-z_]{1,32}")
_FIELD_PATH: Final = re.compile(r" - at `\$\.?(?P<field>[A-Za-z]{1,32})[^`]*`$")
_UNKNOWN_FIELD: Final = re.compile(r"unknown field `(?P<field>[A-Za-z0-9_-]{1,32})`")
_IDEMPOTENCY_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_BRACKETS_AT_ONCE: Final = 65_536
_DEFAULT_PAGE: Final = 100
_MAX_PAGE: Final = 500
_MAX_NUMBER: Final = 2**53
_MAX_DIGITS: Final = len(str(_MAX_NUMBER))
_MAX_WEIGHT_CHARACTERS: Final = 16

PagePosition = Annotated[
    int, Meta(ge=1, le=_MAX_NUMBER, description="Only messages that are older than this position.")
]
PageSize = Annotated[
    int,
    Meta(
        ge=1,
        le=_MAX_PAGE,
        description="How many messages to return.",
        extra_json_schema={"default": _DEFAULT_PAGE},
    ),
]


def message_body_bytes(limit: MessageLimit) -> int:
    """The size limit of a body with one message of a person, and little else."""
    more_characters = max(0, limit.characters - DEFAULT_MESSAGE_CHARACTERS)
    return MAX_BODY_BYTES + _CHARACTER_MAX_BYTES * more_characters


def default_body_limit(_: bytes) -> int:
    """``MAX_BODY_BYTES`` for every body."""
    return MAX_BODY_BYTES


async def read_body(
    request: Request,
    kind: type[Body],
    limit: Callable[[bytes], int] = default_body_limit,
    media_types: Sequence[str] = (JSON,),
) -> tuple[Body, bytes]:
    """The parsed body, and its bytes; an empty body counts as ``{}``.

    Raises:
        BadRequest: see ``read_json`` and ``parse``.
    """
    raw = await read_json(request, limit, media_types)
    return parse(raw or b"{}", kind), raw


async def read_optional_body(request: Request, kind: type[Body]) -> Body:
    """The parsed body of a request that needs neither a body nor a content type.

    Raises:
        BadRequest: see ``read_json`` and ``parse``. A content type matters only if there is a body.
    """
    raw = await _read_bytes(request, default_body_limit)
    if raw:
        _check_media_type(request)
    return parse(raw or b"{}", kind)


async def read_json(
    request: Request,
    limit: Callable[[bytes], int] = default_body_limit,
    media_types: Sequence[str] = (JSON,),
) -> bytes:
    """The bytes of a body whose content type is one of ``media_types``; they are not parsed.

    ``limit`` returns the size limit of a body that begins with its argument. It is called only for
    bodies larger than ``MAX_BODY_BYTES``.

    Raises:
        BadRequest: ``unsupported_media_type``, ``body_too_large``, ``body_too_slow`` or
            ``body_incomplete``; ``body_invalid`` if it is nested too deeply.
    """
    _check_media_type(request, media_types)
    return await _read_bytes(request, limit)


def _check_media_type(request: Request, media_types: Sequence[str] = (JSON,)) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in media_types:
        why = f"The body must be {' or '.join(media_types)}."
        raise BadRequest("unsupported_media_type", why)


async def _read_bytes(request: Request, limit: Callable[[bytes], int]) -> bytes:
    body, max_bytes = bytearray(), MAX_BODY_BYTES
    try:
        async with asyncio.timeout(BODY_TIMEOUT.total_seconds()) as timeout:
            async for chunk in request.stream():
                seconds = len(chunk) / BODY_BYTES_PER_SECOND
                timeout.reschedule((timeout.when() or 0) + seconds)
                was_small = len(body) <= MAX_BODY_BYTES
                body += chunk
                if was_small and len(body) > MAX_BODY_BYTES:
                    max_bytes = limit(bytes(body[:MAX_BODY_BYTES]))
                check_size(body, max_bytes)
    except TimeoutError:
        raise BadRequest("body_too_slow") from None
    except ClientDisconnect:
        raise BadRequest("body_incomplete") from None
    raw = bytes(body)
    if len(raw) > MAX_BODY_BYTES:
        await _check_nesting_of_large(raw)
    elif nests_too_deeply(raw):
        raise _nested_too_deeply(raw)
    return raw


async def _check_nesting_of_large(raw: bytes) -> None:
    """Like ``nests_too_deeply``, with a pass of the event loop after each part of the brackets."""
    brackets, level = brackets_of(raw), 0
    for start in range(0, len(brackets), _BRACKETS_AT_ONCE):
        deepest, level = nesting_levels(brackets[start : start + _BRACKETS_AT_ONCE], level)
        if deepest > MAX_JSON_DEPTH:
            raise BadRequest("body_invalid", NESTED_TOO_DEEPLY)
        await asyncio.sleep(0)


def _nested_too_deeply(raw: bytes) -> BadRequest:
    members = parse(raw, dict[str, Raw])
    deep = (name for name, json in members.items() if nests_too_deeply(b"[" + bytes(json) + b"]"))
    field = next(filter(_MEMBER_NAME.fullmatch, deep), None)
    return BadRequest("body_invalid", NESTED_TOO_DEEPLY, field=field)


def check_size(raw: bytes | bytearray, limit: int = MAX_BODY_BYTES) -> None:
    """Reject a body of more than ``limit`` bytes.

    Raises:
        BadRequest: ``body_too_large``.
    """
    if len(raw) > limit:
        raise BadRequest("body_too_large", f"The body can have at most {limit:,} bytes.")


def parse(raw: bytes, kind: type[Body]) -> Body:
    """``raw`` decoded from JSON as a ``kind``.

    Raises:
        BadRequest: ``body_not_json`` or ``body_invalid``.
    """
    try:
        with _without_garbage_collection():
            return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        # The cause may repeat what was sent.
        raise BadRequest("body_invalid", field=_invalid_field(str(error))) from None
    except RecursionError:
        raise BadRequest("body_invalid", NESTED_TOO_DEEPLY) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadRequest("body_not_json") from None


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Postpone the search for cycles, which the values of a JSON text cannot form.

    It would take most of the time if a body has hundreds of thousands of values.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _invalid_field(validation_error: str) -> str | None:
    match = _UNKNOWN_FIELD.search(validation_error) or _FIELD_PATH.search(validation_error)
    return match["field"] if match else None


def is_missing(member: Raw) -> bool:
    """Whether an optional member was left out, or is null."""
    return bytes(member) in (b"", b"null")


def read_page_context(member: Raw) -> str | None:
    """The page context as JSON text; None if the member was left out or is null.

    Raises:
        BadRequest: ``body_not_json`` if it is not UTF-8.
        InvalidInput: ``context_too_long``.
    """
    if is_missing(member):
        return None
    try:
        return page_context(bytes(member).decode())
    except UnicodeDecodeError:
        raise BadRequest("body_not_json") from None


def idempotency_key(request: Request, raw: bytes) -> tuple[str | None, IdempotencyKey | None]:
    """The Idempotency-Key header, and the digests of the key and the request.

    Both are None without the header. Each person for whom an app server speaks has separate
    idempotency keys, so that one person never gets the reply to an identical request of another.

    Raises:
        BadRequest: ``idempotency_key_malformed``.
    """
    key = request.headers.get("idempotency-key")
    if key is None:
        return None, None
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        raise BadRequest("idempotency_key_malformed")
    person = person_of(request)
    # Neither a person nor a key contains a space.
    key = key if person is None else f"{person} {key}"
    path_and_body = request.url.path.encode() + b"\0" + raw
    return key, IdempotencyKey(
        digest=hashlib.sha256(key.encode()).digest(),
        body_digest=hashlib.sha256(path_and_body).digest(),
    )


def person_of(request: Request) -> str | None:
    """The person for whom an app server speaks, as it names them; None if it names nobody."""
    return request.headers.get(ON_BEHALF_OF_HEADER)


def path_id(request: Request) -> str:
    """The conversation's id in the path: a session id, or the client's own chat id."""
    chat_id: str = request.path_params["id"]
    return chat_id


def query_session(request: Request) -> SessionId:
    """The session id in the query parameter ``sessionId``.

    Raises:
        BadRequest: ``session_id_missing``.
        InvalidInput: ``session_id_malformed``.
    """
    text = request.query_params.get("sessionId")
    if not text:
        why = "The query parameter `sessionId` is required."
        raise BadRequest("session_id_missing", why, field="sessionId")
    return session_id(text)


def page_query(request: Request) -> tuple[int | None, int]:
    """The query parameters ``before`` (None for the newest page) and ``limit``.

    Raises:
        InvalidInput: one of them is not a whole number or is out of range.
    """
    before = request.query_params.get("before")
    limit = request.query_params.get("limit", str(_DEFAULT_PAGE))
    return (
        None if before is None else _whole_number(before, "before", _MAX_NUMBER),
        _whole_number(limit, "limit", _MAX_PAGE),
    )


def _whole_number(text: str, name: str, maximum: int) -> int:
    is_number = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    if not (is_number and 1 <= int(text) <= maximum):
        why = f"`{name}` must be a whole number from 1 to {maximum}."
        raise InvalidInput("invalid_input", why, field=name)
    return int(text)


def wants_json(request: Request) -> bool:
    """Whether the caller accepts a JSON document but no event stream."""
    accepted = request.headers.get("accept", "").lower()
    return "application/json" in accepted and "text/event-stream" not in accepted


def preferred_locales(request: Request, in_body: str | None, *, is_first: bool) -> Sequence[str]:
    """The caller's language tags, best first: the tag in the body, then the one in the path.

    If there is neither, the tags of the Accept-Language header, but only for the first message of a
    conversation (``is_first``): a later one does not change the language.
    """
    tags = [tag for tag in (in_body, getattr(request.state, "locale", None)) if tag]
    if tags or not is_first:
        return tags
    return _accepted_languages(request.headers.get("accept-language", ""))


def _accepted_languages(header: str) -> Sequence[str]:
    """The tags of an Accept-Language header (RFC 9110, section 12.5.4), best first.

    Tags that are too long are ignored, and so are all tags after the sixteenth.
    """
    items = header.split(",", MAX_LANGUAGE_TAGS)[:MAX_LANGUAGE_TAGS]
    ordered = sorted(map(_tag_and_weight, items), key=lambda item: -item[1])
    return [
        tag
        for tag, weight in ordered
        if tag and tag != "*" and weight > 0 and is_language_tag_short(tag)
    ]


def _tag_and_weight(item: str) -> tuple[str, float]:
    tag, _, quality = item.partition(";")
    _, _, number = quality.partition("=")
    try:
        weight = float(number[:_MAX_WEIGHT_CHARACTERS]) if number.strip() else 1.0
        return tag.strip(), weight
    except ValueError:
        return tag.strip(), 0.0
