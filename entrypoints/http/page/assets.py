"""The chat page and the widget: their static files, and the document in each language.

The texts of a language (its "words") include the assistant's welcome. So a browser can show the
page without a call to the API.
"""

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Final

from attrs import evolve, frozen

from domain.model.assistant import Assistant
from domain.model.limits import MessageLimit
from entrypoints.http.static_files import StaticFile, has_media_type, static_file

_FOLDER: Final = resources.files("entrypoints.http") / "page"
_WORDS: Final = re.compile(r"words\.([A-Za-z0-9-]+)\.json")
_NOT_SERVED: Final = re.compile(rb"^\s*(?:(?://.*|/\*[\s\S]*?\*/)\s+)*", re.MULTILINE)
_DEFAULT_LANGUAGE: Final = "en"
_NOT_PRELOADED: Final = {"widget.js", "tools.js"}
"""The widget is for other pages; tools are loaded when a reply calls the first one."""


@frozen(kw_only=True)
class ChatPage:
    """The page of one assistant.

    Attributes:
        files: the files of the page and the widget by name.
        documents: the document at ``/`` by language.
        assistant: the assistant, with one welcome for each language of the page.
    """

    files: Mapping[str, StaticFile]
    documents: Mapping[str, str]
    assistant: Assistant

    def document(self, locales: Sequence[str]) -> str:
        """The document in the first of ``locales`` that the page is translated into."""
        return self.documents[self.assistant.locale_for(locales)]


def chat_page(assistant: Assistant, limit: MessageLimit) -> ChatPage:
    """The page with the welcomes of this assistant, for messages up to ``limit``."""
    welcomes = {tag: assistant.welcomes[assistant.locale_for([tag])] for tag in _languages()}
    words = {tag: _words(tag, welcome, limit) for tag, welcome in welcomes.items()}
    languages = sorted(words)
    # Generated, so that a new language needs only its words file.
    generated = {
        "languages.json": _json(languages),
        **{f"words.{tag}.json": _json(texts) for tag, texts in words.items()},
    }
    files = {name: static_file(text.encode(), name) for name, text in generated.items()}
    return ChatPage(
        files={**_FILES, **files},
        documents={tag: _document(texts, languages) for tag, texts in words.items()},
        assistant=evolve(assistant, welcomes=welcomes),
    )


def _is_served(entry: Traversable) -> bool:
    return entry.is_file() and has_media_type(entry.name)


def _names() -> Sequence[str]:
    return sorted(entry.name for entry in _FOLDER.iterdir() if _is_served(entry))


def _languages() -> Sequence[str]:
    """The tags of the page's languages; the first is the default."""
    tags = [match[1] for name in _names() if (match := _WORDS.fullmatch(name))]
    return sorted(tags, key=lambda tag: tag != _DEFAULT_LANGUAGE)


def _words(tag: str, welcome: str, limit: MessageLimit) -> Mapping[str, Any]:
    texts = json.loads((_FOLDER / f"words.{tag}.json").read_bytes())
    return {**texts, "tag": tag, "welcome": welcome, "messageCharacters": limit.characters}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _document(words: Mapping[str, Any], languages: Sequence[str]) -> str:
    # Within a script element, "<" could begin its end tag or a comment.
    data = _json({"languages": languages, "words": words}).replace("<", r"\u003c")
    return _TEMPLATE.replace("{data}", data)


def _preloads() -> str:
    """One preload link per module; without them each import costs another round trip."""
    modules = [name for name in _names() if name.endswith(".js") and name not in _NOT_PRELOADED]
    return "\n".join(f'<link rel="modulepreload" href="page/{name}">' for name in modules)


def condensed(script: bytes) -> bytes:
    """The script without indentation, empty lines, and comments that have lines of their own."""
    return _NOT_SERVED.sub(b"", script)


def _content(name: str) -> bytes:
    content = (_FOLDER / name).read_bytes()
    # Comments and white space are for people who read the files; visitors need not load them.
    return condensed(content) if name.endswith(".js") else content


_FILES: Final[Mapping[str, StaticFile]] = {
    name: static_file(_content(name), name) for name in _names() if not _WORDS.fullmatch(name)
}
_STYLE: Final = _FILES["chat.css"].content
_TEMPLATE: Final = (
    (_FOLDER / "index.html")
    .read_text("utf-8")
    .replace("{style}", _STYLE.decode())
    .replace("{preloads}", _preloads())
)

STYLE_HASH: Final = f"sha256-{b64encode(hashlib.sha256(_STYLE).digest()).decode()}"
"""The hash of the style sheet in the document, as a source in a Content-Security-Policy."""
