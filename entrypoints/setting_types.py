"""How a setting is declared: its name, its meaning, and how its text is parsed."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeAlias, get_args
from urllib.parse import urlsplit

import attrs
from attrs import frozen

from domain.model.prompt import Effort

INFO: Final = "privity"
"""The key of the ``SettingInfo`` in a field's metadata."""

SettingType: TypeAlias = tuple[str, Callable[[str], Any]]
"""A description of valid values, and the parser, which raises ValueError or KeyError."""

_EFFORTS: Final = get_args(Effort)
_HOST: Final = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@frozen(kw_only=True)
class SettingInfo:
    """The declaration of one setting.

    Attributes:
        name: the environment variable.
        expects: a description of valid values.
        parse: returns the value of a text; raises ValueError or KeyError if the text is invalid.
        meaning: what the setting is for, in the words of the documentation.
        secret: True if the value is never shown, and can also be read from a file.
        shown_default: the default as the documentation shows it.
    """

    name: str
    expects: str
    parse: Callable[[str], object]
    meaning: str
    secret: bool
    shown_default: str


def setting(
    name: str,
    kind: SettingType,
    default: Any,
    meaning: str,
    *,
    secret: bool = False,
    shown: str | None = None,
) -> Any:
    """An attrs field for the setting ``name``.

    ``shown`` replaces the text of the default in the documentation.
    """
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


def whole_number(low: int, high: int) -> SettingType:
    """An int from ``low`` to ``high``, both included."""

    def parse(text: str) -> int:
        number = int(text)
        if not low <= number <= high:
            raise ValueError
        return number

    return f"a whole number from {low} to {high}", parse


def number(low: float, high: float) -> SettingType:
    """A float from ``low`` to ``high``, both included."""

    def parse(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return f"a number from {low:g} to {high:g}", parse


def seconds(low: float, high: float) -> SettingType:
    """A timedelta from ``low`` to ``high`` seconds, both included."""

    def parse(text: str) -> timedelta:
        number = float(text)
        if not low <= number <= high:
            raise ValueError
        return timedelta(seconds=number)

    return f"seconds from {low:g} to {high:g}", parse


def _flag(text: str) -> bool:
    return {"true": True, "false": False, "1": True, "0": False}[text.lower()]


def _allow(text: str) -> bool:
    return {"allow": True}[text.lower()]


def _on_or_off(text: str) -> bool:
    return {"on": True, "off": False}[text.lower()]


def _open_or_closed(text: str) -> bool:
    return {"open": True, "closed": False}[text.lower()]


def _log_level(text: str) -> str:
    if text.lower() not in ("debug", "info", "warning", "error"):
        raise ValueError
    return text.lower()


def _effort(text: str) -> str:
    if text.lower() not in _EFFORTS:
        raise ValueError
    return text.lower()


def _json_object(text: str) -> str:
    def refuse(_: str) -> None:
        # Python reads NaN and Infinity, which are not JSON.
        raise ValueError

    try:
        document = json.loads(text, parse_constant=refuse)
    except RecursionError:
        raise ValueError from None
    if not isinstance(document, dict):
        raise ValueError  # noqa: TRY004 - as for every invalid value
    return text


def _http_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError
    return text.rstrip("/")


def _plain_http_url(text: str) -> str:
    parts = urlsplit(_http_url(text))
    # URLs end up in logs and error messages, so they must not contain a password.
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError
    return text.rstrip("/")


def _origin(text: str) -> str:
    parts = urlsplit(_http_url(text))
    if parts.path or parts.query or parts.fragment or parts.username:
        raise ValueError
    return f"{parts.scheme}://{parts.netloc}".lower()


def _origins(text: str) -> tuple[str, ...]:
    return tuple(_origin(item.strip()) for item in text.split(",") if item.strip())


def _hosts(text: str) -> tuple[str, ...]:
    hosts = tuple(item.strip().lower() for item in text.split(",") if item.strip())
    if not hosts or not all(_HOST.fullmatch(host) for host in hosts):
        raise ValueError
    return tuple(host.removesuffix(".") for host in hosts)


def _redis_url(text: str) -> str:
    parts = urlsplit(text)
    is_socket = parts.scheme == "unix"
    if parts.scheme not in ("redis", "rediss", "unix") or parts.fragment:
        raise ValueError
    # Options could switch off certificate checks. Only a socket's database number is allowed.
    if parts.query and not (is_socket and parts.query.removeprefix("db=").isdecimal()):
        raise ValueError
    if not is_socket and not (parts.hostname and (parts.path.strip("/") or "0").isdecimal()):
        raise ValueError
    _ = parts.port  # raises ValueError if it is not a port number
    return text


def _digests(text: str) -> tuple[str, ...]:
    digests = tuple(item.strip().lower() for item in text.split(",") if item.strip())
    # An empty list would count as not set, and accept every key that the operator issued.
    if not digests or not all(_DIGEST.fullmatch(digest) for digest in digests):
        raise ValueError
    return digests


TEXT: Final = ("text", str)
PATH: Final = ("a path", Path)
FLAG: Final = ("true or false", _flag)
ON_OR_OFF: Final = ("on or off", _on_or_off)
OPEN_OR_CLOSED: Final = ("open or closed", _open_or_closed)
ALLOW: Final = ("allow", _allow)
LOG_LEVEL: Final = ("debug, info, warning or error", _log_level)
EFFORT: Final = (f"{', '.join(_EFFORTS[:-1])} or {_EFFORTS[-1]}", _effort)
JSON_OBJECT: Final = ("a JSON object", _json_object)
URL: Final = ("an http or https URL without user, password or query", _plain_http_url)
ORIGIN: Final = ("an origin such as https://chat.example.org", _origin)
ORIGINS: Final = ("origins such as https://example.org, separated by commas", _origins)
HOSTS: Final = ("host names without a port, separated by commas", _hosts)
REDIS_URL: Final = (
    "a redis:// or rediss:// URL without options, or a unix:// URL with at most ?db=",
    _redis_url,
)
DIGESTS: Final = ("SHA-256 digests in hexadecimal, separated by commas", _digests)
