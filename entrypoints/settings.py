"""The settings: declared, read from the environment, and checked against each other.

Each secret can also be read from a file, whose path is the value of ``NAME_FILE``.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from enum import Enum
from math import inf
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import attrs
from attrs import frozen

from adapters.assistant_profile.toml_file import ProfileProblem, load_assistant
from adapters.encrypted_redis.connecting import RedisAddress, certificate_problems
from adapters.outgoing_http.certificates import trusting
from adapters.outgoing_http.loopback import is_loopback
from adapters.outgoing_http.server_problem import ServerProblem
from adapters.sealing.key_ring import KeyRing, KeyRingProblem
from domain.model.limits import DEFAULT_MESSAGE_CHARACTERS, HIGHEST_MESSAGE_CHARACTERS
from entrypoints.hook_settings import HookSettings
from entrypoints.limit_settings import STORED_BYTES_WITH_IMAGES, LimitSettings
from entrypoints.setting_names import nearly_known_names, unknown_names
from entrypoints.setting_types import (
    ALLOW,
    DIGESTS,
    FLAG,
    IGNORE_OR_REJECT,
    INFO,
    LOG_LEVEL,
    OPEN_OR_CLOSED,
    PATH,
    TEXT,
    InvalidValue,
    SettingInfo,
    is_null_device,
    parsed,
    read_secret,
    seconds,
    setting,
    whole_number,
)
from entrypoints.url_settings import HOSTS, ORIGIN, ORIGINS, REDIS_URL, is_remote

_MAY_BE_EMPTY: Final = ("MODEL_API_KEY",)
"""Secrets whose file may be empty: systemd and Kubernetes need the file, a local model no key."""

_CERTIFICATES: Final = {"model_ca_file": "MODEL_CA_FILE", "hook_ca_file": "PRIVITY_HOOK_CA_FILE"}
"""The settings of certificates of other servers, by field name."""


class Storage(Enum):
    """Where conversations are stored."""

    MEMORY = "memory"
    REDIS = "redis"


@frozen(kw_only=True)
class Settings(HookSettings):
    """All settings. ``setting_infos`` has them in the order of docs/settings.md."""

    redis_url: str | None = setting(
        "REDIS_URL",
        REDIS_URL,
        None,
        "Redis URL with user, password and database: `rediss://user:password@host:6379/0`.",
        secret=True,
    )
    redis_enabled: bool | None = setting(
        "REDIS_ENABLED",
        FLAG,
        None,
        "`false` keeps conversations in memory, even if REDIS_URL is set. `true` needs REDIS_URL.",
        shown="true if REDIS_URL is set",
    )
    redis_ca_file: Path | None = setting(
        "REDIS_CA_FILE",
        PATH,
        None,
        "CA certificates for verifying Redis (PEM).",
        shown="the system's",
    )
    redis_client_cert: Path | None = setting(
        "REDIS_CLIENT_CERT", PATH, None, "Client certificate for Redis (PEM)."
    )
    redis_client_key: Path | None = setting(
        "REDIS_CLIENT_KEY", PATH, None, "Private key of the client certificate (PEM)."
    )
    redis_plaintext: bool = setting(
        "REDIS_PLAINTEXT",
        ALLOW,
        False,
        "`allow` permits plaintext to a remote Redis, for example on a private network.",
        shown="",
    )
    keys: str | None = setting(
        "PRIVITY_KEYS",
        TEXT,
        None,
        "Master keys, `label:base64,…`. The first one encrypts, and each one can decrypt. "
        "`privity new-key` creates one.",
        secret=True,
        shown="in memory: random per process; with Redis: required",
    )
    public_url: str | None = setting(
        "PRIVITY_PUBLIC_URL",
        ORIGIN,
        None,
        "Public origin of the service. With https, cookies are `Secure`.",
    )
    hosts: tuple[str, ...] = setting(
        "PRIVITY_HOSTS",
        HOSTS,
        (),
        "Other host names of the service, for example inside a private network. Accepted without "
        "this: `localhost`, IP addresses and the host of PRIVITY_PUBLIC_URL.",
    )
    embedding_origins: tuple[str, ...] = setting(
        "PRIVITY_EMBEDDING_ORIGINS",
        ORIGINS,
        (),
        "Other origins whose pages may use this service.",
    )
    api_key_digests: tuple[str, ...] = setting(
        "PRIVITY_API_KEY_DIGESTS",
        DIGESTS,
        (),
        "Client keys accepted on `/v1`, as digests (docs/openai_clients.md).",
        shown="those that you issued",
    )
    v1: bool | None = setting(
        "PRIVITY_V1",
        OPEN_OR_CLOSED,
        None,
        "`open` accepts every client key on `/v1`, even those that anybody can get.",
        shown="closed; in a run without settings: open",
    )
    docs: bool = setting(
        "PRIVITY_DOCS",
        FLAG,
        True,
        "`false` removes `/docs`, the page on which people can try out the API.",
        shown="true",
    )
    proxies: int = setting(
        "PRIVITY_PROXIES",
        whole_number(0, 8),
        0,
        "Number of your reverse proxies in front of the service (for X-Forwarded-For).",
    )
    hsts: bool | None = setting(
        "PRIVITY_HSTS",
        FLAG,
        None,
        "`true` sends Strict-Transport-Security: browsers then use only https for this host.",
        shown="true if the public URL is https and PRIVITY_PROXIES is 0",
    )
    ignores_foreign_authorization: bool = setting(
        "PRIVITY_FOREIGN_AUTHORIZATION",
        IGNORE_OR_REJECT,
        False,
        "`ignore` ignores an `Authorization` header that holds no client key of the form `ck_…`, "
        "for example that of a proxy. `/v1` always needs a client key.",
        shown="reject",
    )
    message_characters: int = setting(
        "PRIVITY_MESSAGE_CHARACTERS",
        whole_number(1, HIGHEST_MESSAGE_CHARACTERS),
        DEFAULT_MESSAGE_CHARACTERS,
        "Maximum number of characters in a message that a person writes.",
    )
    max_turns: int = setting(
        "PRIVITY_MAX_TURNS",
        whole_number(1, 100_000),
        2_000,
        "Maximum number of replies one process generates at once.",
    )
    max_connections: int = setting(
        "PRIVITY_MAX_CONNECTIONS",
        whole_number(16, 1_000_000),
        8_192,
        "Maximum number of open connections per process, idle ones included.",
    )
    shutdown_grace: timedelta = setting(
        "PRIVITY_SHUTDOWN_SECONDS",
        seconds(0, 600),
        timedelta(seconds=20),
        "Time that running replies have to finish after SIGTERM.",
    )
    log_level: str = setting(
        "PRIVITY_LOG_LEVEL",
        LOG_LEVEL,
        "info",
        "Lowest level that is logged. Message text is never logged.",
    )

    @property
    def storage(self) -> Storage:
        """Redis if ``REDIS_URL`` is set and ``REDIS_ENABLED`` is not false."""
        has_redis = self.redis_url is not None and self.redis_enabled is not False
        return Storage.REDIS if has_redis else Storage.MEMORY

    @property
    def is_v1_open(self) -> bool:
        """Whether ``/v1`` accepts every client key; by default, only in a run without settings."""
        if self.v1 is not None:
            return self.v1
        chosen = (self.redis_url, self.redis_enabled, self.keys, self.public_url)
        return all(value is None for value in (*chosen, self.model_base_url))

    @property
    def is_https(self) -> bool:
        """Whether the public URL is an https URL."""
        return self.public_url is not None and self.public_url.startswith("https://")

    @property
    def sends_hsts(self) -> bool:
        """Whether browsers are told to use only https; behind a proxy, the proxy decides."""
        return self.is_https and self.proxies == 0 if self.hsts is None else self.hsts


class SettingsProblem(Exception):
    """The settings are invalid.

    Attributes:
        problems: one sentence for each problem. They name settings and never show a value, which
            may be a secret.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def setting_infos() -> tuple[SettingInfo, ...]:
    """Every setting, in the order of the documentation."""
    return tuple(field.metadata[INFO] for field in _fields())


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings in ``environment``; an empty value counts as not set.

    Raises:
        SettingsProblem: with every problem at once.
    """
    values, problems = _parsed_values(environment)
    problems = [*unknown_names(environment, setting_infos()), *problems]
    problems += _content_problems(values)
    if values.get("model_images"):
        values = {**STORED_BYTES_WITH_IMAGES, **values}
    if not problems:
        settings = Settings(**values)
        problems += cross_checks(settings)
        if not problems:
            return settings
    raise SettingsProblem(problems)


def setting_warnings(environment: Mapping[str, str]) -> list[str]:
    """A sentence for each name in ``environment`` that is probably a setting with an error."""
    return list(nearly_known_names(environment, setting_infos()))


def cross_checks(settings: Settings) -> Iterator[str]:
    """Contradictions between settings that are valid on their own; no sentence shows a value."""
    yield from _storage_problems(settings)
    yield from _model_problems(settings)
    yield from settings.hook_problems
    yield from _browser_problems(settings)


def _fields() -> "tuple[attrs.Attribute[Any], ...]":
    """The fields of all settings, in the order of the documentation: the limits come last."""
    fields, inherited = attrs.fields(Settings), attrs.fields(HookSettings)
    limits = len(attrs.fields(LimitSettings))
    own, external = fields[len(inherited) :], inherited[limits:]
    place = own.index(attrs.fields_dict(Settings)["message_characters"])
    return (*own[:place], *external, *own[place:], *inherited[:limits])


def _parsed_values(environment: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """The parsed values by field name, and a sentence for each that could not be parsed."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    for field in _fields():
        info: SettingInfo = field.metadata[INFO]
        name, text = info.name, environment.get(info.name, "").strip()
        path = environment.get(f"{info.name}_FILE", "").strip() if info.secret else ""
        try:
            if path and not is_null_device(path):
                name = f"{info.name}_FILE"
                text = read_secret(path, may_be_empty=info.name in _MAY_BE_EMPTY)
            if text:
                values[field.name] = parsed(info, text)
        except InvalidValue as problem:
            problems.append(f"{name}: {problem}")
    return values, problems


def _content_problems(values: Mapping[str, Any]) -> Iterator[str]:
    """The problems in the content of the key ring and of the files."""
    try:
        if "keys" in values:
            KeyRing.parse(values["keys"])
    except KeyRingProblem as problem:
        yield str(problem)
    try:
        load_assistant(values.get("assistant_file"))
    except ProfileProblem as problem:
        yield str(problem)
    yield from certificate_problems(
        RedisAddress(
            url="",
            ca_file=values.get("redis_ca_file"),
            client_cert=values.get("redis_client_cert"),
            client_key=values.get("redis_client_key"),
        )
    )
    for name, variable in _CERTIFICATES.items():
        try:
            if name in values:
                trusting(values[name], setting=variable)
        except ServerProblem as problem:
            yield str(problem)


def _browser_problems(settings: Settings) -> Iterator[str]:
    public_url = urlsplit(settings.public_url or "")
    if is_remote(settings.public_url, scheme="http"):
        yield (
            "PRIVITY_PUBLIC_URL: use https://, because otherwise cookies would cross the network "
            "in plaintext. In a network that is protected in another way, leave it unset and list "
            "the host in PRIVITY_HOSTS."
        )
    if settings.hsts and not settings.is_https:
        yield "PRIVITY_HSTS needs a PRIVITY_PUBLIC_URL with https."
    if settings.is_https or not settings.embedding_origins:
        return
    embedders = [urlsplit(origin) for origin in settings.embedding_origins]
    if not all(one.scheme == "http" and is_loopback(one.hostname or "") for one in embedders):
        yield (
            "PRIVITY_EMBEDDING_ORIGINS needs a PRIVITY_PUBLIC_URL with https, unless all origins "
            "are on this machine, such as http://localhost:3000."
        )
    elif public_url.hostname and {one.hostname for one in embedders} != {public_url.hostname}:
        yield (
            "PRIVITY_EMBEDDING_ORIGINS and PRIVITY_PUBLIC_URL must have the same host if they are "
            "http URLs: localhost and 127.0.0.1 are different sites for a browser."
        )


def _storage_problems(settings: Settings) -> Iterator[str]:
    if settings.redis_enabled and settings.redis_url is None:
        yield "REDIS_ENABLED is true, but REDIS_URL is not set."
    if (settings.redis_client_cert is None) != (settings.redis_client_key is None):
        yield "REDIS_CLIENT_CERT and REDIS_CLIENT_KEY must be set together."
    if settings.storage is not Storage.REDIS:
        return
    if not settings.keys:
        yield "Redis needs PRIVITY_KEYS. Create a key with `privity new-key` and store it safely."
    if is_remote(settings.redis_url, scheme="redis") and not settings.redis_plaintext:
        yield (
            "REDIS_URL connects to a remote Redis without TLS. Use rediss://, or set "
            "REDIS_PLAINTEXT=allow."
        )


def _model_problems(settings: Settings) -> Iterator[str]:
    if settings.model_base_url and not settings.model_name:
        yield "MODEL_BASE_URL is set, but MODEL_NAME is not."
    if settings.model_name and not settings.model_base_url:
        yield "MODEL_NAME is set, but MODEL_BASE_URL is not."
    elif settings.model_api_key and not settings.model_base_url:
        yield "MODEL_API_KEY is set, but MODEL_BASE_URL is not."
    if is_remote(settings.model_base_url, scheme="http") and not settings.model_plaintext:
        yield (
            "MODEL_BASE_URL connects to another machine without TLS. Use https://, or set "
            "MODEL_PLAINTEXT=allow."
        )
    if settings.model_reply_tokens >= (settings.model_context_tokens or inf):
        yield "MODEL_REPLY_TOKENS must be less than MODEL_CONTEXT_TOKENS."
    yield from settings.option_problems
