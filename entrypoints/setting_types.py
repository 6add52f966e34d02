"""How a setting is declared: its name, its meaning, and how its text is parsed."""

import json
import os
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeAlias, get_args
from urllib.parse import SplitResult, urlsplit

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
_API_KEY: Final = re.compile(r"[!-~]+")
_QUOTES: Final = "'\"`\u2018\u2019\u201c\u201d"
_HIGHEST_PORT: Final = 65_535
_PLAIN_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_MODEL_PATHS: Final = ("/chat/completions", "/completions", "/responses", "/models")


class InvalidValue(ValueError):
    """A value is invalid; the message is the end of a sentence and does not contain the value."""


@frozen(kw_only=True)
class SettingInfo:
    """The declaration of one setting.

    Attributes:
        name: the environment variable.
        expects: a description of valid values.
        parse: returns the value of a text; raises InvalidValue, or ValueError or KeyError if
            ``expects`` says it all.
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


def parsed(info: SettingInfo, text: str) -> Any:
    """The value that ``text`` stands for.

    Raises:
        InvalidValue: the message is the end of a sentence that begins with the setting's name.
    """
    if len(text) > 1 and text[0] in _QUOTES and text[-1] in _QUOTES:
        raise InvalidValue("remove the quotes around the value (docker run --env-file keeps them).")
    try:
        return info.parse(text)
    except InvalidValue:
        raise
    except (ValueError, KeyError):
        # Not chained: the exception's text would show the value, which may be a secret.
        if " #" in text:
            hint = "the value contains a comment. Write comments on lines of their own."
            raise InvalidValue(hint) from None
        raise InvalidValue(f"expected {info.expects}.") from None


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


def _ignore_or_reject(text: str) -> bool:
    return {"ignore": True, "reject": False}[text.lower()]


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


def is_null_device(path: str) -> bool:
    """Whether ``path`` leads to the null device.

    docker-compose.yml has to name a file, even if the operator provides none.
    """
    return os.path.realpath(path) == os.devnull


def _path(text: str) -> Path | None:
    if is_null_device(text):
        return None
    path = Path(text)
    _require_no_device(path)
    try:
        with path.open("rb"):
            return path
    except OSError as error:
        raise InvalidValue(_why_unreadable(error, path)) from None


def read_secret(text: str, *, may_be_empty: bool) -> str:
    """The secret in the file whose path is ``text``.

    Raises:
        InvalidValue: it cannot be read, or is empty although it must not be.
    """
    path = Path(text)
    _require_no_device(path)
    try:
        secret = path.read_text(encoding="utf-8-sig").strip()
    except UnicodeDecodeError:
        raise InvalidValue("the file is not UTF-8 text.") from None
    except OSError as error:
        raise InvalidValue(_why_unreadable(error, path)) from None
    if not secret and not may_be_empty:
        raise InvalidValue("the file is empty.")
    return secret


def _require_no_device(path: Path) -> None:
    """Refuse devices such as /dev/zero, which have no end."""
    if path.is_char_device() and not is_null_device(str(path)):
        raise InvalidValue("this is a device, not a file.")


def _why_unreadable(error: OSError, path: Path) -> str:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        hint = " Write the whole path: ~ is not replaced." if path.parts[:1] == ("~",) else ""
        return f"the file does not exist.{hint}"
    if isinstance(error, IsADirectoryError):
        return "this is a directory, not a file."
    if isinstance(error, PermissionError):
        return "the user of this process may not read the file."
    return "the file cannot be read."


def _api_key(text: str) -> str:
    if text.lower().startswith("bearer "):
        raise InvalidValue("write the key alone, without Bearer.")
    if not _API_KEY.fullmatch(text):
        raise InvalidValue("the key contains white space, or a character that no key has.")
    return text


def _text(text: str) -> str:
    if " #" in text:
        raise ValueError
    return text


def _url_parts(text: str, schemes: tuple[str, ...]) -> SplitResult:
    """The parts of a URL with one of ``schemes``, a host, and a valid port or none."""
    if any(character.isspace() for character in text):
        raise InvalidValue("the URL contains white space.")
    if not text.lower().startswith(tuple(f"{scheme}://" for scheme in schemes)):
        expected = " or ".join(f"{scheme}://" for scheme in schemes)
        raise InvalidValue(f"the URL must begin with {expected}.")
    parts = urlsplit(text)
    if not parts.hostname:
        raise InvalidValue("the URL has no host.")
    port = parts.netloc.rpartition("@")[2].rpartition("]")[2].partition(":")[2]
    if port and not (port.isdecimal() and 0 < int(port) <= _HIGHEST_PORT):
        raise InvalidValue("the port must be a number from 1 to 65535.")
    return parts


def _http_url(text: str) -> SplitResult:
    parts = _url_parts(text, ("http", "https"))
    # URLs end up in logs and error messages, so they must not contain a password.
    if parts.username is not None:
        raise InvalidValue("the URL must not contain a user or password.")
    if parts.query or parts.fragment:
        raise InvalidValue("the URL must not contain ? or #.")
    return parts


def _base_url(text: str) -> str:
    base = _http_url(text).geturl().rstrip("/")
    for path in _MODEL_PATHS:
        if base.endswith(path):
            raise InvalidValue(f"remove {path} from the end of the URL. It usually ends with /v1.")
    return base


def _origin(text: str) -> str:
    parts = _http_url(text)
    if parts.path.strip("/"):
        raise InvalidValue("the URL must end after the host and port.")
    if not parts.netloc.isascii():
        # Browsers send the ASCII form, in Host and in Origin.
        raise InvalidValue("write the host name in its ASCII form, which begins with xn--.")
    return f"{parts.scheme}://{parts.netloc}".lower()


def _origins(text: str) -> tuple[str, ...]:
    return tuple(_origin(item.strip()) for item in text.split(",") if item.strip())


def _hosts(text: str) -> tuple[str, ...]:
    hosts = tuple(item.strip().lower() for item in text.split(",") if item.strip())
    if not hosts or not all(_HOST.fullmatch(host) for host in hosts):
        raise ValueError
    return tuple(host.removesuffix(".") for host in hosts)


def _redis_url(text: str) -> str:
    if text.lower().startswith("unix:"):
        return _redis_socket(text)
    _require_encoded_password(text)
    parts = _url_parts(text, ("rediss", "redis"))
    # Options could switch off certificate checks.
    if parts.query or parts.fragment:
        raise InvalidValue("the URL must not contain options after ? or #.")
    if not (parts.path.strip("/") or "0").isdecimal():
        raise InvalidValue("after the host and port, only a database number may follow, as in /0.")
    return parts.geturl()


def _require_encoded_password(text: str) -> None:
    """Refuse a password whose characters make other parts of the URL out of it."""
    credentials, at, _ = text.partition("://")[2].rpartition("@")
    if at and any(character in credentials for character in "/?#[]"):
        raise InvalidValue(
            "the password contains /, ?, #, [ or ]. Write %2F, %3F, %23, %5B or %5D instead."
        )
    if _PLAIN_PERCENT.search(credentials):
        raise InvalidValue("the password contains %. Write %25 instead.")


def _redis_socket(text: str) -> str:
    parts = urlsplit(text)
    if not text.startswith("unix://") or not parts.path.strip("/"):
        raise InvalidValue(
            "the path of a socket must follow unix://, as in unix:///run/redis.sock."
        )
    if parts.fragment or (parts.query and not parts.query.removeprefix("db=").isdecimal()):
        raise InvalidValue("after the path of the socket, only ?db= and a number may follow.")
    return text


def _digests(text: str) -> tuple[str, ...]:
    if "ck_" in text:
        raise InvalidValue(
            "this is a client key. Write its SHA-256 digest instead (docs/openai_clients.md)."
        )
    digests = tuple(item.strip().lower() for item in text.split(",") if item.strip())
    # An empty list would count as not set, and accept every key that the operator issued.
    if not digests or not all(_DIGEST.fullmatch(digest) for digest in digests):
        raise ValueError
    return digests


TEXT: Final = ("text", _text)
API_KEY: Final = ("text", _api_key)
PATH: Final = ("a path", _path)
FLAG: Final = ("true or false", _flag)
ON_OR_OFF: Final = ("on or off", _on_or_off)
OPEN_OR_CLOSED: Final = ("open or closed", _open_or_closed)
IGNORE_OR_REJECT: Final = ("ignore or reject", _ignore_or_reject)
ALLOW: Final = ("allow", _allow)
LOG_LEVEL: Final = ("debug, info, warning or error", _log_level)
EFFORT: Final = (f"{', '.join(_EFFORTS[:-1])} or {_EFFORTS[-1]}", _effort)
JSON_OBJECT: Final = ("a JSON object", _json_object)
URL: Final = ("an http or https URL without user, password or query", _base_url)
ORIGIN: Final = ("an origin such as https://chat.example.org", _origin)
ORIGINS: Final = ("origins such as https://example.org, separated by commas", _origins)
HOSTS: Final = ("host names without a port, separated by commas", _hosts)
REDIS_URL: Final = (
    "a redis:// or rediss:// URL without options, or a unix:// URL with at most ?db=",
    _redis_url,
)
DIGESTS: Final = ("SHA-256 digests in hexadecimal, separated by commas", _digests)
