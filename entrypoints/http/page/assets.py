"""The static files of the chat page and the widget, read from the package once at import.

Each has an entity tag. Browsers cache a file but revalidate it every time, so that one page never
mixes modules of two releases.
"""

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from attrs import frozen

_MEDIA_TYPES: Final[Mapping[str, str]] = {
    "js": "text/javascript",
    "css": "text/css",
    "json": "application/json",
    "svg": "image/svg+xml",
}
_FOLDER: Final = resources.files("entrypoints.http") / "page"
_WORDS: Final = re.compile(r"words\.([A-Za-z0-9-]+)\.json")
_NOT_PRELOADED: Final = "widget.js"


@frozen(kw_only=True)
class PageFile:
    """One file as it is served; ``tag`` is its entity tag."""

    content: bytes
    media_type: str
    tag: str


@frozen(kw_only=True)
class Page:
    """The document at ``/``.

    Attributes:
        html: the page with its style sheet, so that the first paint needs no further request.
        style_hash: the hash of the style sheet, as a source in a Content-Security-Policy.
    """

    html: str
    style_hash: str


def _file(content: bytes, name: str) -> PageFile:
    media_type = _MEDIA_TYPES[name.rpartition(".")[2]]
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return PageFile(content=content, media_type=media_type, tag=tag)


def _is_served(entry: Traversable) -> bool:
    return entry.is_file() and entry.name.rpartition(".")[2] in _MEDIA_TYPES


def _read() -> dict[str, PageFile]:
    names = sorted(entry.name for entry in _FOLDER.iterdir() if _is_served(entry))
    files = {name: _file((_FOLDER / name).read_bytes(), name) for name in names}
    # Generated, so that a new language needs only its words file.
    languages = [match[1] for name in names if (match := _WORDS.fullmatch(name))]
    return {**files, "languages.json": _file(json.dumps(languages).encode(), "languages.json")}


def _preloads(names: Sequence[str]) -> str:
    """One preload link per module; without them each import costs another round trip."""
    modules = [name for name in names if name.endswith(".js") and name != _NOT_PRELOADED]
    return "\n".join(f'<link rel="modulepreload" href="page/{name}">' for name in modules)


def _page(files: Mapping[str, PageFile]) -> Page:
    style = files["chat.css"].content.decode()
    html = (_FOLDER / "index.html").read_text("utf-8")
    html = html.replace("{style}", style).replace("{preloads}", _preloads([*files]))
    digest = hashlib.sha256(style.encode()).digest()
    return Page(html=html, style_hash=f"sha256-{b64encode(digest).decode()}")


FILES: Final[Mapping[str, PageFile]] = _read()
PAGE: Final = _page(FILES)
