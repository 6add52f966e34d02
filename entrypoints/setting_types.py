"""How a setting is declared: its name, what it expects, how its text is understood."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

import attrs
from attrs import frozen

INFO: Final = "privity"
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")

Kind: TypeAlias = tuple[str, Callable[[str], Any]]
"""What a value looks like, in words, and how it is parsed; ValueError or KeyError refuse it."""


@frozen(kw_only=True)
class SettingInfo:
    """What is known about one setting.

    Attributes:
        expects: what a value looks like, in words.
        shown_default: as the documentation shows it.
    """

    name: str
    expects: str
    parse: Callable[[str], object]
    meaning: str
    secret: bool
    shown_default: str


def setting(
    name: str,
    kind: Kind,
    default: Any,
    meaning: str,
    *,
    secret: bool = False,
    shown: str | None = None,
) -> Any:
    expects, parse = kind
    info = SettingInfo(
        name=name,
        expects=expects,
        parse=parse,
        meaning=meaning,
        secret=secret,
        shown_default=shown if shown is not None else _shown(default),
    )
    return attrs.field(default=default, repr=not secret, metadata={INFO: info})


def _shown(default: Any) -> str:
    if isinstance(default, timedelta):
        return f"{default.total_seconds():g}"
    return "" if default in (None, ()) else str(default)


def _http_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError
    return text.rstrip("/")


def _plain_http_url(text: str) -> str:
    parts = urlsplit(_http_url(text))
    # A password in a URL ends up in places where it can be read.
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError
    return text.rstrip("/")


def _redis_url(text: str) -> str:
    parts = urlsplit(text)
    is_socket = parts.scheme == "unix"
    if parts.scheme not in ("redis", "rediss", "unix") or parts.fragment:
        raise ValueError
    # Options of other clients, such as switching certificate checks off, are not taken.
    if parts.query and not (is_socket and parts.query.removeprefix("db=").isdecimal()):
        raise ValueError
    if not is_socket and not (parts.hostname and (parts.path.strip("/") or "0").isdecimal()):
        raise ValueError
    _ = parts.port  # raises for what is no port
    return text


def _allow(text: str) -> bool:
    return {"allow": True}[text.lower()]


def _origin(text: str) -> str:
    parts = urlsplit(_http_url(text))
    if parts.path or parts.query or parts.fragment or parts.username:
        raise ValueError
    return f"{parts.scheme}://{parts.netloc}".lower()


def _origins(text: str) -> tuple[str, ...]:
    return tuple(_origin(item.strip()) for item in text.split(",") if item.strip())


def _digests(text: str) -> tuple[str, ...]:
    digests = tuple(item.strip().lower() for item in text.split(",") if item.strip())
    # None at all would let everybody in.
    if not digests or not all(_DIGEST.fullmatch(digest) for digest in digests):
        raise ValueError
    return digests


def _flag(text: str) -> bool:
    return {"true": True, "false": False, "1": True, "0": False}[text.lower()]


def whole_number(low: int, high: int) -> Kind:
    def parse(text: str) -> int:
        number = int(text)
        if not low <= number <= high:
            raise ValueError
        return number

    return f"a whole number from {low} to {high}", parse


def seconds(low: float, high: float) -> Kind:
    def parse(text: str) -> timedelta:
        number = float(text)
        if not low <= number <= high:
            raise ValueError
        return timedelta(seconds=number)

    return f"seconds from {low:g} to {high:g}", parse


def log_level(text: str) -> str:
    if text.lower() not in ("debug", "info", "warning", "error"):
        raise ValueError
    return text.lower()


TEXT: Final = ("text", str)
PATH: Final = ("a path", Path)
URL: Final = ("an http or https URL without user, password or query", _plain_http_url)
REDIS_URL: Final = ("a redis://, rediss:// or unix:// URL without options", _redis_url)
ALLOW: Final = ("allow", _allow)
FLAG: Final = ("true or false", _flag)
ORIGIN: Final = ("an origin such as https://chat.example.org", _origin)
ORIGINS: Final = ("origins such as https://example.org, separated by commas", _origins)
DIGESTS: Final = ("SHA-256 digests in hexadecimal, separated by commas", _digests)
