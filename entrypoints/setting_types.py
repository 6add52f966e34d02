"""How a setting is declared: its name, its meaning, and how its text is parsed."""

import os
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeAlias, get_args

import attrs
import msgspec
from attrs import frozen

from adapters.turn_hook.hook_signature import key_of
from domain.model.prompt import Effort

INFO: Final = "privity"
"""The key of the ``SettingInfo`` in a field's metadata."""

SettingType: TypeAlias = tuple[str, Callable[[str], Any]]
"""A description of valid values, and the parser, which raises ValueError or KeyError."""

_EFFORTS: Final = get_args(Effort)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_API_KEY: Final = re.compile(r"[!-~]+")
_MAX_HOOK_SECRETS: Final = 2
_QUOTES: Final = "'\"`\u2018\u2019\u201c\u201d"


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
        # Python keeps other bytes of the environment, but nothing can be sent or printed with them.
        text.encode()
    except UnicodeEncodeError:
        raise InvalidValue("the value is not UTF-8 text.") from None
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
    _, parse = number(low, high)
    return f"seconds from {low:g} to {high:g}", lambda text: timedelta(seconds=parse(text))


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


def _fail_or_continue(text: str) -> bool:
    return {"fail": True, "continue": False}[text.lower()]


def _log_level(text: str) -> str:
    if text.lower() not in ("debug", "info", "warning", "error"):
        raise ValueError
    return text.lower()


def _effort(text: str) -> str:
    if text.lower() not in _EFFORTS:
        raise ValueError
    return text.lower()


def _json_object(text: str) -> str:
    try:
        # Not json.loads, which reads numbers and characters that cannot be sent as JSON.
        document = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
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


def _hook_secrets(text: str) -> tuple[bytes, ...]:
    secrets = tuple(item.strip() for item in text.split(",") if item.strip())
    if not 1 <= len(secrets) <= _MAX_HOOK_SECRETS:
        raise ValueError
    return tuple(map(key_of, secrets))


def _text(text: str) -> str:
    if " #" in text:
        raise ValueError
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
FAIL_OR_CONTINUE: Final = ("fail or continue", _fail_or_continue)
HOOK_SECRETS: Final = (
    "whsec_ and 24 to 64 bytes in base64; or two of these, separated by a comma",
    _hook_secrets,
)
LOG_LEVEL: Final = ("debug, info, warning or error", _log_level)
EFFORT: Final = (f"{', '.join(_EFFORTS[:-1])} or {_EFFORTS[-1]}", _effort)
JSON_OBJECT: Final = ("a JSON object", _json_object)
DIGESTS: Final = ("SHA-256 digests in hexadecimal, separated by commas", _digests)
