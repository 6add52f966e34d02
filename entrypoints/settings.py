"""The settings: read once from the environment, checked as a whole, never changed.

Every secret may also be given as the path of a file that holds it, in ``NAME_FILE``.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import attrs
from attrs import frozen

_INFO: Final = "privity"


class SettingsProblem(Exception):
    """The settings do not work together. Says every problem at once, by name, without a value."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Storage(Enum):
    """Where conversations live."""

    MEMORY = "memory"
    REDIS = "redis"


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


def _setting(
    name: str,
    kind: tuple[str, Callable[[str], Any]],
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
    return attrs.field(default=default, repr=not secret, metadata={_INFO: info})


def _shown(default: Any) -> str:
    if isinstance(default, timedelta):
        return f"{default.total_seconds():g}"
    return "" if default in (None, ()) else str(default)


def _http_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError
    return text.rstrip("/")


def _origin(text: str) -> str:
    parts = urlsplit(_http_url(text))
    if parts.path or parts.query or parts.fragment or parts.username:
        raise ValueError
    return f"{parts.scheme}://{parts.netloc}".lower()


def _origins(text: str) -> tuple[str, ...]:
    return tuple(_origin(item.strip()) for item in text.split(",") if item.strip())


def _flag(text: str) -> bool:
    return {"true": True, "false": False, "1": True, "0": False}[text.lower()]


def _whole_number(low: int, high: int) -> tuple[str, Callable[[str], int]]:
    def parse(text: str) -> int:
        number = int(text)
        if not low <= number <= high:
            raise ValueError
        return number

    return f"a whole number from {low} to {high}", parse


def _seconds(low: float, high: float) -> tuple[str, Callable[[str], timedelta]]:
    def parse(text: str) -> timedelta:
        number = float(text)
        if not low <= number <= high:
            raise ValueError
        return timedelta(seconds=number)

    return f"seconds from {low:g} to {high:g}", parse


def _log_level(text: str) -> str:
    if text.lower() not in ("debug", "info", "warning", "error"):
        raise ValueError
    return text.lower()


_TEXT: Final = ("text", str)
_PATH: Final = ("a path", Path)
_URL: Final = ("an http or https URL", _http_url)
_FLAG: Final = ("true or false", _flag)
_ORIGIN: Final = ("an origin such as https://chat.example.org", _origin)
_ORIGINS: Final = ("origins such as https://example.org, separated by commas", _origins)


@frozen(kw_only=True)
class Settings:
    """All settings. See docs/settings.md, which is compared with this class by a test."""

    redis_url: str | None = _setting(
        "REDIS_URL", _TEXT, None, "Where Redis is. Needs the Redis storage.", secret=True
    )
    redis_enabled: bool | None = _setting(
        "REDIS_ENABLED",
        _FLAG,
        None,
        "`false` keeps conversations in memory, also when REDIS_URL is set.",
        shown="true",
    )
    keys: str | None = _setting(
        "PRIVITY_KEYS",
        _TEXT,
        None,
        "Master keys, `label:base64,…`; the first seals, all open. `privity new-key` makes one.",
        secret=True,
        shown="random per process",
    )
    public_url: str | None = _setting(
        "PRIVITY_PUBLIC_URL", _ORIGIN, None, "The origin users see. With https, cookies are secure."
    )
    embedding_origins: tuple[str, ...] = _setting(
        "PRIVITY_EMBEDDING_ORIGINS",
        _ORIGINS,
        (),
        "Other sites that may use this service from their pages.",
    )
    proxies: int = _setting(
        "PRIVITY_PROXIES",
        _whole_number(0, 8),
        0,
        "How many reverse proxies of yours stand before the service (for X-Forwarded-For).",
    )
    model_base_url: str | None = _setting(
        "MODEL_BASE_URL",
        _URL,
        None,
        "An OpenAI-compatible server, up to and including /v1.",
        shown="the built-in script",
    )
    model_api_key: str | None = _setting(
        "MODEL_API_KEY", _TEXT, None, "Sent to the model's server as a bearer.", secret=True
    )
    model_name: str | None = _setting("MODEL_NAME", _TEXT, None, "Which model answers.")
    model_context_tokens: int = _setting(
        "MODEL_CONTEXT_TOKENS",
        _whole_number(256, 10_000_000),
        8_192,
        "Prompt and reply together stay below it.",
    )
    model_reply_tokens: int = _setting(
        "MODEL_REPLY_TOKENS", _whole_number(16, 1_000_000), 1_024, "Upper bound of one reply."
    )
    model_connect_timeout: timedelta = _setting(
        "MODEL_CONNECT_SECONDS",
        _seconds(0.1, 60),
        timedelta(seconds=5),
        "For a connection to the model's server.",
    )
    model_first_piece_timeout: timedelta = _setting(
        "MODEL_FIRST_PIECE_SECONDS",
        _seconds(1, 600),
        timedelta(seconds=60),
        "From the request to the first piece of the reply.",
    )
    model_silence_timeout: timedelta = _setting(
        "MODEL_SILENCE_SECONDS", _seconds(1, 600), timedelta(seconds=30), "Between two pieces."
    )
    assistant_file: Path | None = _setting(
        "ASSISTANT_FILE",
        _PATH,
        None,
        "The assistant's prompt, welcomes and prices, as TOML.",
        shown="a neutral assistant",
    )
    max_turns: int = _setting(
        "PRIVITY_MAX_TURNS",
        _whole_number(1, 100_000),
        2_000,
        "Replies written at once by one process.",
    )
    max_connections: int = _setting(
        "PRIVITY_MAX_CONNECTIONS",
        _whole_number(16, 1_000_000),
        8_192,
        "Requests served at once by one process, open streams included.",
    )
    new_per_hour: int = _setting(
        "PRIVITY_NEW_PER_HOUR",
        _whole_number(1, 10_000_000),
        120,
        "New conversations and client keys per address and hour.",
    )
    stored_bytes_per_hour: int = _setting(
        "PRIVITY_STORED_BYTES_PER_HOUR",
        _whole_number(10_000, 10**12),
        4_000_000,
        "Bytes of messages and replies stored per address and hour.",
    )
    shutdown_grace: timedelta = _setting(
        "PRIVITY_SHUTDOWN_SECONDS",
        _seconds(0, 600),
        timedelta(seconds=20),
        "How long running replies may take to finish after SIGTERM.",
    )
    log_level: str = _setting(
        "PRIVITY_LOG_LEVEL",
        ("debug, info, warning or error", _log_level),
        "info",
        "What is logged; never what was said.",
    )

    @property
    def storage(self) -> Storage:
        """Where conversations live by these settings."""
        enabled = self.redis_enabled is not False and self.redis_url is not None
        return Storage.REDIS if enabled else Storage.MEMORY

    @property
    def is_https(self) -> bool:
        """Whether users reach the service by https."""
        return self.public_url is not None and self.public_url.startswith("https://")


def setting_infos() -> tuple[SettingInfo, ...]:
    """Every setting, in the order of the documentation."""
    return tuple(field.metadata[_INFO] for field in attrs.fields(Settings))


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings that ``environment`` holds; empty values count as absent.

    Raises:
        SettingsProblem: naming everything that is wrong.
    """
    problems: list[str] = []
    values: dict[str, Any] = {}
    for field in attrs.fields(Settings):
        info: SettingInfo = field.metadata[_INFO]
        try:
            text = _text_of(info, environment)
            if text:
                values[field.name] = info.parse(text)
        except (ValueError, KeyError):
            # The cause would show the value, which may be a secret.
            problems.append(f"{info.name}: expected {info.expects}.")
        except OSError:
            problems.append(f"{info.name}_FILE: cannot be read.")
    if not problems:
        settings = Settings(**values)
        problems.extend(_contradictions(settings))
        if not problems:
            return settings
    raise SettingsProblem(problems)


def _text_of(info: SettingInfo, environment: Mapping[str, str]) -> str:
    path = environment.get(f"{info.name}_FILE", "") if info.secret else ""
    if path:
        return Path(path).read_text(encoding="utf-8").strip()
    return environment.get(info.name, "").strip()


def _contradictions(settings: Settings) -> Iterator[str]:
    if settings.redis_enabled and settings.redis_url is None:
        yield "REDIS_ENABLED is true, but REDIS_URL is not set."
    if settings.storage is Storage.REDIS:
        yield "REDIS_URL is set, but this release has no Redis storage; set REDIS_ENABLED=false."
    if settings.embedding_origins and not settings.is_https:
        yield "PRIVITY_EMBEDDING_ORIGINS needs an https PRIVITY_PUBLIC_URL."
    if settings.model_base_url and not settings.model_name:
        yield "MODEL_BASE_URL is set, but MODEL_NAME is not."
    if settings.model_name and not settings.model_base_url:
        yield "MODEL_NAME is set, but MODEL_BASE_URL is not."
    if settings.model_reply_tokens >= settings.model_context_tokens:
        yield "MODEL_REPLY_TOKENS must be below MODEL_CONTEXT_TOKENS."
