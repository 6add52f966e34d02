"""Static files: each has an entity tag, so that browsers revalidate their copies.

Browsers cache a file but revalidate it every time, so that one page never mixes files of two
releases.
"""

import gzip
import hashlib
from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

_MEDIA_TYPES: Final[Mapping[str, str]] = {
    "js": "text/javascript",
    "css": "text/css",
    "json": "application/json",
    "svg": "image/svg+xml",
}


@frozen(kw_only=True)
class StaticFile:
    """One file.

    Attributes:
        content: its bytes, compressed if ``is_gzipped``.
        tag: its entity tag.
    """

    content: bytes
    media_type: str
    tag: str
    is_gzipped: bool = False


def has_media_type(name: str) -> bool:
    """Whether files with such a name can be served."""
    return name.rpartition(".")[2] in _MEDIA_TYPES


def static_file(content: bytes, name: str, *, is_gzipped: bool = False) -> StaticFile:
    """The file ``name``; its media type follows from the name."""
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return StaticFile(
        content=content,
        media_type=_MEDIA_TYPES[name.rpartition(".")[2]],
        # A weak tag, because the compressed and the decompressed file share it.
        tag=f"W/{tag}" if is_gzipped else tag,
        is_gzipped=is_gzipped,
    )


def file_response(request: Request, file: StaticFile) -> Response:
    """The file; 304 if the browser has it already."""
    # Without Vary, a browser would reuse this site's copy on an embedding site, where it lacks the
    # CORS headers and is blocked.
    vary = "Origin, Accept-Encoding" if file.is_gzipped else "Origin"
    headers = {"cache-control": "no-cache", "etag": file.tag, "vary": vary}
    if file.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    content = file.content
    if file.is_gzipped:
        if _accepts_gzip(request):
            headers["content-encoding"] = "gzip"
        else:
            content = _decompressed(content)
    return Response(content, media_type=file.media_type, headers=headers)


def _accepts_gzip(request: Request) -> bool:
    codings = request.headers.get("accept-encoding", "").lower().split(",")
    accepted = (coding.partition(";") for coding in codings)
    return any(
        name.strip() == "gzip" and weight.replace(" ", "") not in ("q=0", "q=0.0")
        for name, _, weight in accepted
    )


@lru_cache(maxsize=8)
def _decompressed(content: bytes) -> bytes:
    return gzip.decompress(content)
