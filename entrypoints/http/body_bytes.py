"""The bytes of a body: JSON by its own account, bounded in size and time."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from starlette.requests import ClientDisconnect, Request

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
