"""All settings, in the order of the documentation. ``settings_reader`` reads them."""

from datetime import timedelta
from enum import Enum
from pathlib import Path

from attrs import frozen

from entrypoints.setting_kinds import (
    ALLOW,
    DIGESTS,
    FLAG,
    ORIGIN,
    ORIGINS,
    PATH,
    REDIS_URL,
    TEXT,
    URL,
    log_level,
    seconds,
    setting,
    whole_number,
)


class Storage(Enum):
    """Where conversations live."""

    MEMORY = "memory"
    REDIS = "redis"


@frozen(kw_only=True)
class Settings:
    """All settings. See docs/settings.md, which is compared with this class by a test."""

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
        "`false` keeps conversations in memory, even if REDIS_URL is set.",
        shown="true",
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
        "Master keys, `label:base64,…`. The first seals, all open. `privity new-key` creates one.",
        secret=True,
        shown="random per process",
    )
    public_url: str | None = setting(
        "PRIVITY_PUBLIC_URL",
        ORIGIN,
        None,
        "Public origin of the service. With https, cookies are `Secure`.",
    )
    embedding_origins: tuple[str, ...] = setting(
        "PRIVITY_EMBEDDING_ORIGINS",
        ORIGINS,
        (),
        "Other sites whose pages may use this service.",
    )
    api_key_digests: tuple[str, ...] = setting(
        "PRIVITY_API_KEY_DIGESTS",
        DIGESTS,
        (),
        "Client keys accepted on `/v1`, as digests (docs/openai_clients.md).",
        shown="every client key",
    )
    proxies: int = setting(
        "PRIVITY_PROXIES",
        whole_number(0, 8),
        0,
        "Number of your reverse proxies in front of the service (for X-Forwarded-For).",
    )
    model_base_url: str | None = setting(
        "MODEL_BASE_URL",
        URL,
        None,
        "Base URL of an OpenAI-compatible server, up to and including /v1.",
        shown="the built-in script",
    )
    model_api_key: str | None = setting(
        "MODEL_API_KEY",
        TEXT,
        None,
        "API key for the model server, sent as a bearer token.",
        secret=True,
    )
    model_name: str | None = setting("MODEL_NAME", TEXT, None, "Name of the model.")
    model_context_tokens: int = setting(
        "MODEL_CONTEXT_TOKENS",
        whole_number(256, 10_000_000),
        8_192,
        "Context window of the model, in tokens (prompt and reply together).",
    )
    model_reply_tokens: int = setting(
        "MODEL_REPLY_TOKENS", whole_number(16, 1_000_000), 1_024, "Maximum tokens per reply."
    )
    model_connect_timeout: timedelta = setting(
        "MODEL_CONNECT_SECONDS",
        seconds(0.1, 60),
        timedelta(seconds=5),
        "Connect timeout for the model server.",
    )
    model_first_piece_timeout: timedelta = setting(
        "MODEL_FIRST_PIECE_SECONDS",
        seconds(1, 600),
        timedelta(seconds=60),
        "Maximum wait from the request to the first piece of the reply.",
    )
    model_silence_timeout: timedelta = setting(
        "MODEL_SILENCE_SECONDS",
        seconds(1, 600),
        timedelta(seconds=30),
        "Maximum silence between two pieces of a reply.",
    )
    assistant_file: Path | None = setting(
        "ASSISTANT_FILE",
        PATH,
        None,
        "TOML file with the assistant's prompt, welcome messages and prices.",
        shown="a neutral assistant",
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
        "Maximum number of requests one process serves at once, including open streams.",
    )
    new_per_hour: int = setting(
        "PRIVITY_NEW_PER_HOUR",
        whole_number(1, 10_000_000),
        120,
        "Maximum number of new conversations and client keys per address and hour.",
    )
    stored_bytes_per_hour: int = setting(
        "PRIVITY_STORED_BYTES_PER_HOUR",
        whole_number(10_000, 10**12),
        4_000_000,
        "Maximum bytes of messages and replies stored per address and hour.",
    )
    shutdown_grace: timedelta = setting(
        "PRIVITY_SHUTDOWN_SECONDS",
        seconds(0, 600),
        timedelta(seconds=20),
        "Time that running replies have to finish after SIGTERM.",
    )
    log_level: str = setting(
        "PRIVITY_LOG_LEVEL",
        ("debug, info, warning or error", log_level),
        "info",
        "Lowest level that is logged. Message text is never logged.",
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
