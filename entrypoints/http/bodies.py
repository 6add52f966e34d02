"""What the native protocol takes: typed bodies, parsed strictly, bounded in size and time.

The OpenAPI document is generated from these same types.
"""

import asyncio
import hashlib
import re
from datetime import timedelta
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct
from starlette.requests import ClientDisconnect, Request

from domain.model.turn import RequestKey
from entrypoints.http.problems import BadRequest

MAX_BODY_BYTES: Final = 131_072
BODY_WITHIN: Final = timedelta(seconds=10)
_IDEMPOTENCY_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_PATH_IN_ERROR: Final = re.compile(r" - at `\$\.?(?P<field>[A-Za-z]{1,32})[^`]*`$")
_UNKNOWN_FIELD: Final = re.compile(r"unknown field `(?P<field>[A-Za-z0-9_-]{1,32})`")

_ABSENT: Final = (Raw(b""), Raw(b"null"))

OnBusyWord = Literal["reject", "interrupt"]


class NativeBody(Struct, forbid_unknown_fields=True, rename="camel"):
    """A body of the native protocol: members it does not know are refused."""


class ChatBody(NativeBody):
    """A message to the assistant."""

    message: Annotated[str, Meta(description="What the user says; at most 8,000 characters.")]
    session_id: Annotated[
        str | None, Meta(description="The conversation; absent begins a new one.")
    ] = None
    locale: Annotated[str, Meta(max_length=64, description="A BCP 47 tag.")] | None = None
    context: Annotated[
        Raw, Meta(description="JSON about the page the user is on; at most 8 kB.")
    ] = msgspec.field(default_factory=Raw)
    question_context: Annotated[Raw, Meta(description="Another name of `context`.")] = (
        msgspec.field(default_factory=Raw)
    )
    client_id: Annotated[Any, Meta(description="Ignored.")] = None
    on_busy: Annotated[
        OnBusyWord | None, Meta(description="What to do about a reply still being written.")
    ] = None

    @property
    def is_of_widget(self) -> bool:
        """Whether the older widget sent it: only that names its client or the page's question."""
        return self.client_id is not None or self.question_context not in _ABSENT

    @property
    def page_context(self) -> str | None:
        """JSON text about the page, absent when not told.

        Raises:
            BadRequest: it was told twice, or is no text.
        """
        told = [raw for raw in (self.context, self.question_context) if raw not in _ABSENT]
        if len(told) > 1:
            raise BadRequest("body_invalid", "Send context or questionContext.", field="context")
        try:
            return bytes(told[0]).decode() if told else None
        except UnicodeDecodeError:
            raise BadRequest("body_not_json", "The body is not valid JSON.") from None


class AgainBody(NativeBody):
    """A wish for another answer."""

    message_id: Annotated[
        str | None,
        Meta(description="A reply to replace, or a user message; absent: the newest of the user."),
    ] = None
    message: Annotated[str | None, Meta(description="What the user message shall say instead.")] = (
        None
    )
    on_busy: OnBusyWord | None = None


class StopBody(NativeBody):
    """A wish that the reply being written stops."""

    turn_id: (
        Annotated[str, Meta(max_length=64, description="Only this turn; absent: whichever runs.")]
        | None
    ) = None


class OpenBody(NativeBody):
    """A wish for a conversation with a welcome in it."""

    locale: Annotated[str, Meta(max_length=64, description="A BCP 47 tag.")] | None = None


class EmptyBody(NativeBody):
    """Nothing; ``{}`` or no bytes."""


Body = TypeVar("Body", bound=NativeBody)


async def read_body(request: Request, kind: type[Body]) -> tuple[Body, bytes]:
    """The parsed body, and its bytes.

    Raises:
        BadRequest: what is wrong with it; nothing of its content is repeated.
    """
    raw = await read_json(request)
    return parse(raw or b"{}", kind), raw


async def read_json(request: Request) -> bytes:
    """The bytes of a body that says to be JSON; they are not looked into.

    Raises:
        BadRequest: it is something else, too large or too slow.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise BadRequest("unsupported_media_type", "Bodies are application/json.")
    return await _bytes_of(request)


async def _bytes_of(request: Request) -> bytes:
    read = bytearray()
    try:
        async with asyncio.timeout(BODY_WITHIN.total_seconds()):
            async for chunk in request.stream():
                read += chunk
                if len(read) > MAX_BODY_BYTES:
                    why = f"A body has at most {MAX_BODY_BYTES:,} bytes."
                    raise BadRequest("body_too_large", why)
    except TimeoutError:
        raise BadRequest("body_too_slow", "The body did not arrive in time.") from None
    except ClientDisconnect:
        raise BadRequest("body_incomplete", "The body broke off.") from None
    return bytes(read)


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


def idempotency_key(request: Request, raw: bytes) -> tuple[str | None, RequestKey | None]:
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
    return key, RequestKey(
        digest=hashlib.sha256(key.encode()).digest(), body_digest=hashlib.sha256(asked).digest()
    )
