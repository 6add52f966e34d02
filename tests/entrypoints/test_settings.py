"""Which values every setting accepts, and how the settings are read."""

from datetime import timedelta
from pathlib import Path

import pytest

from entrypoints.settings import Settings, SettingsProblem, Storage, read_settings, setting_infos
from tests.support.redis_kinds import certificates

KEYS = "first:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
EXAMPLE = str(Path(__file__).parents[2] / "assistant.example.toml")
CA_FILE = str(certificates().ca_file)

MODEL = {"MODEL_BASE_URL": "https://model.test/v1", "MODEL_NAME": "small"}
HTTPS = {"PRIVITY_PUBLIC_URL": "https://chat.test"}

CONNECT = timedelta(seconds=0.1)
ACCEPTED: list[tuple[str, str, str, object]] = [
    ("PRIVITY_KEYS", KEYS, "keys", KEYS),
    ("PRIVITY_PUBLIC_URL", "https://Chat.test:8443", "public_url", "https://chat.test:8443"),
    ("PRIVITY_PUBLIC_URL", "http://localhost:8000/", "public_url", "http://localhost:8000"),
    ("PRIVITY_PUBLIC_URL", "https://chat.test:443", "public_url", "https://chat.test"),
    ("PRIVITY_PUBLIC_URL", "http://localhost:080", "public_url", "http://localhost"),
    ("PRIVITY_PUBLIC_URL", "http://[::1]:8000", "public_url", "http://[::1]:8000"),
    ("PRIVITY_PUBLIC_URL", "http://localhost:443", "public_url", "http://localhost:443"),
    ("PRIVITY_HOSTS", "Privity, a.b-c.test.,", "hosts", ("privity", "a.b-c.test")),
    ("PRIVITY_DOCS", "false", "docs", False),
    ("PRIVITY_PROXIES", "0", "proxies", 0),
    ("PRIVITY_PROXIES", "8", "proxies", 8),
    ("PRIVITY_HSTS", "false", "hsts", False),
    ("PRIVITY_FOREIGN_AUTHORIZATION", "Ignore", "ignores_foreign_authorization", True),
    ("PRIVITY_FOREIGN_AUTHORIZATION", "reject", "ignores_foreign_authorization", False),
    ("MODEL_TEMPERATURE", "0", "model_temperature", 0.0),
    ("MODEL_TEMPERATURE", "2", "model_temperature", 2.0),
    ("MODEL_TOP_P", "0.9", "model_top_p", 0.9),
    ("MODEL_REASONING_EFFORT", "Low", "model_reasoning_effort", "low"),
    ("MODEL_OPTIONS", '{"think": false}', "model_options", '{"think": false}'),
    ("MODEL_CHECK", "false", "model_check", False),
    ("MODEL_CONTEXT_TOKENS", "10000000", "model_context_tokens", 10_000_000),
    ("MODEL_REPLY_TOKENS", "16", "model_reply_tokens", 16),
    ("MODEL_CONNECT_SECONDS", "0.1", "model_connect_timeout", timedelta(seconds=0.1)),
    ("MODEL_CONNECT_SECONDS", "60", "model_connect_timeout", timedelta(seconds=60)),
    ("MODEL_FIRST_PIECE_SECONDS", "1", "model_first_piece_timeout", timedelta(seconds=1)),
    ("MODEL_FIRST_PIECE_SECONDS", "600", "model_first_piece_timeout", timedelta(seconds=600)),
    ("MODEL_SILENCE_SECONDS", "1.5", "model_silence_timeout", timedelta(seconds=1.5)),
    ("ASSISTANT_FILE", EXAMPLE, "assistant_file", Path(EXAMPLE)),
    ("PRIVITY_SUMMARIES", "false", "summaries", False),
    ("PRIVITY_HOOK_FAILURE", "Continue", "hook_is_required", False),
    ("PRIVITY_HOOK_FAILURE", "fail", "hook_is_required", True),
    ("PRIVITY_HOOK_TIMEOUT_SECONDS", "120", "hook_timeout", timedelta(seconds=120)),
    ("PRIVITY_HOOK_CONNECT_TIMEOUT_SECONDS", "0.1", "hook_connect_timeout", CONNECT),
    ("PRIVITY_HOOK_MESSAGES", "100", "hook_messages", 100),
    ("PRIVITY_HOOK_PLAINTEXT", "allow", "hook_plaintext", True),
    ("PRIVITY_API_KEY_DIGESTS", f"{'A1' * 32},", "api_key_digests", ("a1" * 32,)),
    ("MODEL_IMAGES", "true", "model_images", True),
    ("PRIVITY_MESSAGE_CHARACTERS", "1", "message_characters", 1),
    ("PRIVITY_MESSAGE_CHARACTERS", "100000", "message_characters", 100_000),
    ("PRIVITY_MAX_TURNS", "1", "max_turns", 1),
    ("PRIVITY_MAX_TURNS", "100000", "max_turns", 100_000),
    ("PRIVITY_MAX_CONNECTIONS", "16", "max_connections", 16),
    ("PRIVITY_MAX_CONNECTIONS", "1000000", "max_connections", 1_000_000),
    ("PRIVITY_NEW_PER_HOUR", "1", "new_per_hour", 1),
    ("PRIVITY_NEW_PER_HOUR", "10000000", "new_per_hour", 10_000_000),
    ("PRIVITY_STORED_BYTES_PER_HOUR", "10000", "stored_bytes_per_hour", 10_000),
    ("PRIVITY_V1", "Open", "v1", True),
    ("PRIVITY_V1", "closed", "v1", False),
    ("PRIVITY_LIMITS", "OFF", "limits", False),
    ("PRIVITY_LIMITS", "on", "limits", True),
    ("PRIVITY_MESSAGES_PER_MINUTE", "1", "messages_per_minute", 1),
    ("PRIVITY_MESSAGES_PER_MINUTE_PER_KEY", "1", "messages_per_minute_per_key", 1),
    ("PRIVITY_NEW_PER_HOUR_PER_KEY", "1", "new_per_hour_per_key", 1),
    ("PRIVITY_STORED_BYTES_PER_HOUR_PER_KEY", "10000", "stored_bytes_per_hour_per_key", 10_000),
    ("PRIVITY_TOKENS_PER_HOUR_PER_KEY", "1000", "tokens_per_hour_per_key", 1_000),
    ("PRIVITY_TOKENS_PER_DAY", "1000", "tokens_per_day", 1_000),
    ("PRIVITY_TOKENS_PER_DAY_IN_ALL", "1000", "tokens_per_day_in_all", 1_000),
    ("PRIVITY_OPEN_TURNS", "100000", "open_turns", 100_000),
    ("PRIVITY_OPEN_TURNS_PER_KEY", "1", "open_turns_per_key", 1),
    ("PRIVITY_SHUTDOWN_SECONDS", "0", "shutdown_grace", timedelta()),
    ("PRIVITY_SHUTDOWN_SECONDS", "600", "shutdown_grace", timedelta(minutes=10)),
    ("PRIVITY_LOG_LEVEL", "WARNING", "log_level", "warning"),
    ("REDIS_ENABLED", "FALSE", "redis_enabled", False),
    ("REDIS_ENABLED", "0", "redis_enabled", False),
    ("REDIS_CA_FILE", CA_FILE, "redis_ca_file", Path(CA_FILE)),
    ("REDIS_PLAINTEXT", "Allow", "redis_plaintext", True),
    ("MODEL_PLAINTEXT", "allow", "model_plaintext", True),
]
REJECTED: list[tuple[str, str]] = [
    ("REDIS_URL", "http://r.test"),
    ("REDIS_URL", "rediss://r.test/0?ssl_cert_reqs=none"),
    ("REDIS_URL", "rediss://r.test/zero"),
    ("REDIS_URL", "rediss://r.test:port/0"),
    ("REDIS_URL", "unix:///run/redis.sock?password=planted"),
    ("REDIS_PLAINTEXT", "true"),
    ("MODEL_PLAINTEXT", "true"),
    ("MODEL_IMAGES", "yes please"),
    ("REDIS_ENABLED", "maybe"),
    ("PRIVITY_PUBLIC_URL", "chat.test"),
    ("PRIVITY_PUBLIC_URL", "https://chat.test/path"),
    ("PRIVITY_PUBLIC_URL", "https://user@chat.test"),
    ("PRIVITY_PUBLIC_URL", "ftp://chat.test"),
    ("PRIVITY_PUBLIC_URL", "https://chat.test?a"),
    ("PRIVITY_EMBEDDING_ORIGINS", "https://a.test, b.test"),
    ("PRIVITY_HOSTS", "privity:8000"),
    ("PRIVITY_HOSTS", "https://privity"),
    ("PRIVITY_HOSTS", "a..b"),
    ("PRIVITY_HOSTS", "*.test"),
    ("PRIVITY_HOSTS", ","),
    ("PRIVITY_API_KEY_DIGESTS", "ck_planted"),
    ("PRIVITY_API_KEY_DIGESTS", "a1" * 31),
    ("PRIVITY_API_KEY_DIGESTS", ","),
    ("PRIVITY_DOCS", "closed"),
    ("PRIVITY_PROXIES", "9"),
    ("PRIVITY_PROXIES", "-1"),
    ("PRIVITY_PROXIES", "one"),
    ("PRIVITY_HSTS", "maybe"),
    ("PRIVITY_FOREIGN_AUTHORIZATION", "true"),
    ("MODEL_BASE_URL", "model.test/v1"),
    ("MODEL_BASE_URL", "http://user:planted@model.test/v1"),
    ("MODEL_BASE_URL", "http://model.test/v1?key=planted"),
    ("MODEL_BASE_URL", "http://model.test/v1#planted"),
    ("MODEL_TEMPERATURE", "2.1"),
    ("MODEL_TEMPERATURE", "nan"),
    ("MODEL_TOP_P", "-0.1"),
    ("MODEL_REASONING_EFFORT", "a little"),
    ("MODEL_OPTIONS", "think=false"),
    ("MODEL_OPTIONS", "[1]"),
    ("MODEL_OPTIONS", '{"planted": NaN}'),
    ("MODEL_OPTIONS", '{"planted": 1e999}'),
    ("MODEL_OPTIONS", r'{"planted": "\ud800"}'),
    ("MODEL_OPTIONS", '{"a":' * 100_000),
    ("MODEL_CHECK", "sometimes"),
    ("PRIVITY_SUMMARIES", "off"),
    ("PRIVITY_HOOK_URL", "hook.test"),
    ("PRIVITY_HOOK_URL", "https://hook.test/?key=planted"),
    ("PRIVITY_HOOK_URL", "https://planted@hook.test/"),
    ("PRIVITY_HOOK_URL", "https://hook.test/plänted"),
    ("PRIVITY_HOOK_SECRET", "planted"),
    ("PRIVITY_HOOK_SECRET", f"whsec_{'A' * 31}"),
    ("PRIVITY_HOOK_SECRET", f"whsec_{'A' * 28}"),
    ("PRIVITY_HOOK_SECRET", f"whsec_{'A' * 88}"),
    ("PRIVITY_HOOK_SECRET", ",".join([f"whsec_{'A' * 32}"] * 3)),
    ("PRIVITY_HOOK_FAILURE", "ignore"),
    ("PRIVITY_HOOK_TIMEOUT_SECONDS", "121"),
    ("PRIVITY_HOOK_CONNECT_TIMEOUT_SECONDS", "0"),
    ("PRIVITY_HOOK_MESSAGES", "101"),
    ("PRIVITY_HOOK_PLAINTEXT", "true"),
    ("MODEL_CONTEXT_TOKENS", "255"),
    ("MODEL_CONTEXT_TOKENS", "10000001"),
    ("MODEL_REPLY_TOKENS", "15"),
    ("MODEL_REPLY_TOKENS", "1000001"),
    ("MODEL_CONNECT_SECONDS", "0"),
    ("MODEL_CONNECT_SECONDS", "61"),
    ("MODEL_CONNECT_SECONDS", "nan"),
    ("MODEL_FIRST_PIECE_SECONDS", "0.5"),
    ("MODEL_FIRST_PIECE_SECONDS", "inf"),
    ("MODEL_SILENCE_SECONDS", "601"),
    ("PRIVITY_MESSAGE_CHARACTERS", "0"),
    ("PRIVITY_MESSAGE_CHARACTERS", "100001"),
    ("PRIVITY_MAX_TURNS", "0"),
    ("PRIVITY_MAX_CONNECTIONS", "15"),
    ("PRIVITY_NEW_PER_HOUR", "1.5"),
    ("PRIVITY_STORED_BYTES_PER_HOUR", "9999"),
    ("PRIVITY_V1", "true"),
    ("PRIVITY_LIMITS", "no"),
    ("PRIVITY_MESSAGES_PER_MINUTE", "0"),
    ("PRIVITY_MESSAGES_PER_MINUTE_PER_KEY", "0"),
    ("PRIVITY_NEW_PER_HOUR_PER_KEY", "0"),
    ("PRIVITY_STORED_BYTES_PER_HOUR_PER_KEY", "9999"),
    ("PRIVITY_TOKENS_PER_HOUR_PER_KEY", "999"),
    ("PRIVITY_TOKENS_PER_DAY", "999"),
    ("PRIVITY_TOKENS_PER_DAY_IN_ALL", "999"),
    ("PRIVITY_OPEN_TURNS", "0"),
    ("PRIVITY_OPEN_TURNS_PER_KEY", "100001"),
    ("PRIVITY_SHUTDOWN_SECONDS", "-1"),
    ("PRIVITY_LOG_LEVEL", "loud"),
]
ANY_TEXT = {
    *("REDIS_CA_FILE", "REDIS_CLIENT_CERT", "REDIS_CLIENT_KEY", "ASSISTANT_FILE"),
    *("PRIVITY_KEYS", "MODEL_API_KEY", "MODEL_NAME", "MODEL_CA_FILE"),
    "PRIVITY_HOOK_CA_FILE",
}
"""Settings whose parser rejects nothing."""
WITH_SENTENCES = {
    *("REDIS_URL", "PRIVITY_PUBLIC_URL", "PRIVITY_EMBEDDING_ORIGINS", "MODEL_BASE_URL"),
    *("PRIVITY_API_KEY_DIGESTS", "PRIVITY_HOOK_URL"),
}
"""Settings whose parsers say what is wrong: see test_setting_sentences.py."""
NEED_OTHERS = {
    *("MODEL_BASE_URL", "MODEL_NAME", "MODEL_CA_FILE", "MODEL_API_KEY"),
    "PRIVITY_EMBEDDING_ORIGINS",
    *("PRIVITY_HOOK_URL", "PRIVITY_HOOK_SECRET", "PRIVITY_HOOK_CA_FILE"),
    *("REDIS_URL", "REDIS_CLIENT_CERT", "REDIS_CLIENT_KEY"),
}
"""Settings that are not valid alone, or need a file."""


def stable(value: object) -> str | None:
    """An id that is the same in each worker process: their certificates have different paths."""
    return "certificate" if str(value) == CA_FILE else None


@pytest.mark.parametrize(("name", "text", "member", "value"), ACCEPTED, ids=stable)
def test_a_valid_value_is_accepted(name: str, text: str, member: str, value: object) -> None:
    settings = read_settings({name: f" {text} "})

    assert getattr(settings, member) == value


@pytest.mark.parametrize(("name", "text"), REJECTED)
def test_an_invalid_value_is_rejected_by_name_and_not_shown(name: str, text: str) -> None:
    with pytest.raises(SettingsProblem) as problem:
        read_settings({name: text})

    expects = next(info.expects for info in setting_infos() if info.name == name)
    if name in WITH_SENTENCES:
        assert str(problem.value).startswith(f"{name}: ")
        assert len(problem.value.problems) == 1
    else:
        assert problem.value.problems == [f"{name}: expected {expects}."]


def test_settings_that_need_each_other_are_accepted_together() -> None:
    origins = "https://A.test, https://b.test:8443,"

    settings = read_settings({**MODEL, **HTTPS, "PRIVITY_EMBEDDING_ORIGINS": origins})

    assert (settings.model_base_url, settings.model_name) == ("https://model.test/v1", "small")
    assert settings.embedding_origins == ("https://a.test", "https://b.test:8443")
    assert settings.is_https


@pytest.mark.parametrize(
    ("public_url", "proxies", "hsts", "sent"),
    [
        (None, 0, None, False),
        ("http://localhost:8000", 0, None, False),
        ("https://chat.test", 0, None, True),
        ("https://chat.test", 1, None, False),
        ("https://chat.test", 1, True, True),
        ("https://chat.test", 0, False, False),
    ],
)
def test_hsts_is_sent_with_https_unless_a_proxy_or_the_setting_decides(
    public_url: str | None,
    proxies: int,
    hsts: bool | None,  # noqa: FBT001 - a parameter
    sent: bool,  # noqa: FBT001 - a parameter
) -> None:
    assert Settings(public_url=public_url, proxies=proxies, hsts=hsts).sends_hsts is sent


@pytest.mark.parametrize(
    ("origins", "public_url"),
    [
        ("http://localhost:3000", ""),
        ("http://LOCALHOST:3000,http://localhost:5173", "http://localhost:8000"),
        ("http://127.0.0.1:3000", "http://127.0.0.1:8000"),
        ("http://[::1]:3000", "http://[::1]:8000"),
        ("http://localhost:3000,http://127.0.0.1:3000", ""),
        ("http://localhost:3000,https://www.test", "https://chat.test"),
    ],
)
def test_pages_of_this_machine_may_embed_the_service(origins: str, public_url: str) -> None:
    names = {"PRIVITY_EMBEDDING_ORIGINS": origins, "PRIVITY_PUBLIC_URL": public_url}

    assert len(read_settings(names).embedding_origins) == len(origins.split(","))


def test_every_setting_is_tested_here() -> None:
    names = {info.name for info in setting_infos()}

    assert {name for name, *_ in ACCEPTED} | NEED_OTHERS == names
    assert {name for name, _ in REJECTED} | ANY_TEXT == names


def test_nothing_needs_to_be_set() -> None:
    assert read_settings({}) == Settings()
    assert read_settings({"UNRELATED": "x"}) == Settings()


def test_an_empty_value_counts_as_not_set() -> None:
    names = [info.name for info in setting_infos()]

    assert read_settings(dict.fromkeys(names, "")) == Settings()
    assert read_settings(dict.fromkeys(names, "  ")) == Settings()
    assert read_settings({f"{name}_FILE": "" for name in names}) == Settings()


@pytest.mark.parametrize(
    ("environment", "storage"),
    [
        ({}, Storage.MEMORY),
        ({"REDIS_ENABLED": "false"}, Storage.MEMORY),
        ({"REDIS_ENABLED": "false", "REDIS_URL": "redis://r.test"}, Storage.MEMORY),
    ],
)
def test_conversations_are_kept_in_memory(environment: dict[str, str], storage: Storage) -> None:
    assert read_settings(environment).storage is storage


@pytest.mark.parametrize("enabled", [None, True])
def test_a_url_alone_selects_redis(enabled: bool | None) -> None:  # noqa: FBT001 - a parameter
    assert Settings(redis_url="redis://r.test", redis_enabled=enabled).storage is Storage.REDIS
    assert Settings(redis_enabled=enabled).storage is Storage.MEMORY


@pytest.mark.parametrize(
    ("environment", "reply_tokens"),
    [
        ({}, 4_096),
        ({"MODEL_REPLY_TOKENS": "9000"}, 9_000),
        ({"MODEL_CONTEXT_TOKENS": "131072"}, 4_096),
        ({"MODEL_CONTEXT_TOKENS": "4096"}, 2_048),
        ({"MODEL_CONTEXT_TOKENS": "256"}, 128),
        ({"MODEL_CONTEXT_TOKENS": "4096", "MODEL_REPLY_TOKENS": "3000"}, 3_000),
    ],
)
def test_a_reply_gets_room_to_think_but_by_default_at_most_half_of_the_context(
    environment: dict[str, str], reply_tokens: int
) -> None:
    assert read_settings(environment).model_reply_tokens == reply_tokens


def test_the_largest_numbers_are_accepted() -> None:
    settings = read_settings(
        {
            "MODEL_CONTEXT_TOKENS": "10000000",
            "MODEL_REPLY_TOKENS": "1000000",
            "PRIVITY_STORED_BYTES_PER_HOUR": "1000000000000",
        }
    )

    assert settings.model_reply_tokens == 1_000_000
    assert settings.stored_bytes_per_hour == 10**12


@pytest.mark.parametrize(
    ("environment", "is_open"),
    [
        ({}, True),
        ({"PRIVITY_V1": "closed"}, False),
        ({"PRIVITY_KEYS": KEYS}, False),
        ({"REDIS_ENABLED": "false"}, False),
        ({"PRIVITY_PUBLIC_URL": "https://chat.test"}, False),
        ({"MODEL_BASE_URL": "https://model.test/v1", "MODEL_NAME": "small"}, False),
        ({"PRIVITY_KEYS": KEYS, "PRIVITY_V1": "open"}, True),
    ],
)
def test_v1_is_open_only_if_set_so_or_in_a_run_for_trying_out(
    environment: dict[str, str], *, is_open: bool
) -> None:
    assert read_settings(environment).is_v1_open is is_open


def test_where_users_can_send_images_more_bytes_may_be_stored_by_default() -> None:
    usual = read_settings({"MODEL_IMAGES": "false"})
    with_images = read_settings({"MODEL_IMAGES": "true"})
    chosen = read_settings({"MODEL_IMAGES": "true", "PRIVITY_STORED_BYTES_PER_HOUR": "50000"})

    assert (usual.stored_bytes_per_hour, usual.stored_bytes_per_hour_per_key) == (
        4_000_000,
        1_000_000,
    )
    assert with_images.stored_bytes_per_hour == 40_000_000
    assert with_images.stored_bytes_per_hour_per_key == 10_000_000
    assert (chosen.stored_bytes_per_hour, chosen.stored_bytes_per_hour_per_key) == (
        50_000,
        10_000_000,
    )


def test_limits_that_are_off_are_an_empty_table() -> None:
    assert Settings(limits=False).limit_table == ()
    assert len({limit.name for limit in Settings().limit_table}) == 12
