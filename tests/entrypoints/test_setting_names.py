"""Names in the environment that are no settings: errors, warnings, and what belongs to others."""

import pytest

from entrypoints.settings import Settings, SettingsProblem, read_settings, setting_warnings
from tests.support.processes import run_cli_in_process

ONLY_SECRETS = (
    "only REDIS_URL, PRIVITY_KEYS, MODEL_API_KEY and PRIVITY_HOOK_SECRET can be read from a file"
)
LISTEN = (
    "unknown setting. The address to listen on is an option, privity serve --host 127.0.0.1. "
    "PRIVITY_HOSTS lists host names of the service."
)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("PRIVITY_KEY", "PRIVITY_KEYS"),
        ("PRIVITY_KEY_FILE", "PRIVITY_KEYS_FILE"),
        ("PRIVITY_API_KEYS", "PRIVITY_API_KEY_DIGESTS"),
        ("PRIVITY_MASTER_KEYS", "PRIVITY_KEYS"),
        ("PRIVITY_ALLOWED_HOSTS", "PRIVITY_HOSTS"),
        ("PRIVITY_LOGLEVEL", "PRIVITY_LOG_LEVEL"),
        ("PRIVITY_PROXY", "PRIVITY_PROXIES"),
        ("PRIVITY_REDIS_URL", "REDIS_URL"),
        ("PRIVITY_MODEL_NAME", "MODEL_NAME"),
        ("privity_keys", "PRIVITY_KEYS"),
    ],
)
def test_an_unknown_name_of_ours_is_an_error_with_the_nearest_setting(
    name: str, meant: str
) -> None:
    assert problems_of(name) == [f"{name}: unknown setting; did you mean {meant}?"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("PRIVITY_JWT_ISSUER", "unknown setting. docs/settings.md lists all settings."),
        ("PRIVITY_HOST", LISTEN),
        ("PRIVITY_BIND", LISTEN),
        (
            "PRIVITY_SERVER_PORT",
            "unknown setting. The port to listen on is an option: privity serve --port 8000.",
        ),
        ("MODEL_NAME_FILE", f"{ONLY_SECRETS}. Set MODEL_NAME itself."),
        ("PRIVITY_DOCS_FILE", f"{ONLY_SECRETS}. Set PRIVITY_DOCS itself."),
        ("REDIS_CA_FILE_FILE", f"{ONLY_SECRETS}. Set REDIS_CA_FILE itself."),
    ],
)
def test_an_unknown_name_without_a_similar_setting_is_an_error_as_well(
    name: str, sentence: str
) -> None:
    assert problems_of(name) == [f"{name}: {sentence}"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PRIVITY_PORT", "tcp://10.0.0.1:8000"),
        ("PRIVITY_SERVICE_HOST", "10.0.0.1"),
        ("PRIVITY_SERVICE_PORT", "8000"),
        ("PRIVITY_SERVICE_PORT_HTTP", "8000"),
        ("PRIVITY_PORT_8000_TCP", "tcp://10.0.0.1:8000"),
        ("PRIVITY_PORT_8000_TCP_PROTO", "tcp"),
        ("PRIVITY_PORT_8000_TCP_PORT", "8000"),
        ("PRIVITY_PORT_8000_TCP_ADDR", "10.0.0.1"),
        ("PRIVITY_REDIS_SERVICE_HOST", "10.0.0.2"),
        ("PRIVITY_REDIS_PORT", "tcp://10.0.0.2:6379"),
        ("PRIVITY_REDIS_PORT_6379_TCP_ADDR", "10.0.0.2"),
        ("PRIVITY_CLIENT_KEY", "ck_x"),
        ("PRIVITY_CLIENT_KEY_FILE", "/run/key"),
        ("PRIVITY_URL", "http://127.0.0.1:8000"),
        ("PRIVITY_PORT", "9000"),
        ("PRIVITY_IMAGE", "privity:1"),
        ("PRIVITY_VERSION", "0.1.0"),
        ("PRIVITY_REDIS_IMAGE", "redis:7"),
        ("PRIVITY_TEST_SERVERS", "all"),
        ("PRIVITY_KEY", " "),
        ("REDIS_HOST", "r.test"),
        ("MODEL_PATH", "/models"),
        ("OTHER_FILE", "/x"),
    ],
)
def test_what_kubernetes_and_other_programs_set_is_no_error(name: str, value: str) -> None:
    assert read_settings({name: value}) == Settings()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("REDIS_URI", "REDIS_URL"),
        ("REDIS_ULR", "REDIS_URL"),
        ("REDIS_URL_FIL", "REDIS_URL_FILE"),
        ("REDIS_CERT", "REDIS_CLIENT_CERT"),
        ("MODEL_URL", "MODEL_BASE_URL"),
        ("MODEL_APIKEY", "MODEL_API_KEY"),
        ("MODEL_NAMES", "MODEL_NAME"),
        ("ASSISTANT_FILES", "ASSISTANT_FILE"),
        ("redis_url", "REDIS_URL"),
        ("Model_Name", "MODEL_NAME"),
        ("PRIVTY_KEYS", "PRIVITY_KEYS"),
        ("PRVIITY_V1", "PRIVITY_V1"),
        ("PRIVITIY_API_KEY_DIGESTS", "PRIVITY_API_KEY_DIGESTS"),
        ("PRIVTY_V1", "PRIVITY_V1"),
        ("PRIVITTY_LIMIT", "PRIVITY_LIMITS"),
        ("Pirvity_Keys", "PRIVITY_KEYS"),
    ],
)
def test_a_name_that_is_nearly_one_of_ours_is_a_warning(name: str, meant: str) -> None:
    warning = f"{name} is not a setting of Privity; did you mean {meant}?"

    assert setting_warnings({name: "planted"}) == [warning]
    assert read_settings({name: "planted"}) == Settings()


@pytest.mark.parametrize(
    "name",
    [
        *("REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD", "REDIS_DB", "REDIS_TLS", "REDIS_SSL"),
        *("REDIS_SERVICE_HOST", "MODEL_PATH", "MODEL_VERSION", "ASSISTANT_ID", "OTHER_URL"),
        *("PRIVACY_HOSTS", "PRIVITY_PUBLIC_URL"),
        *("REDIS_URL", "REDIS_URL_FILE", "MODEL_NAME"),
        *("PRIVATE_KEYS", "PRIVACY_DOCS", "PRIVTY_SESSION", "PRIVTY", "PRIVITY_V1"),
    ],
)
def test_names_of_other_programs_and_settings_are_no_warning(name: str) -> None:
    assert setting_warnings({name: "x"}) == []
    assert setting_warnings({"REDIS_URI": " "}) == []


def test_the_port_of_compose_is_a_warning_for_whoever_expects_the_service_to_use_it() -> None:
    assert setting_warnings({"PRIVITY_PORT": "9000"}) == [
        "PRIVITY_PORT only applies to Compose. Here, use: privity serve --port 9000"
    ]
    assert setting_warnings({"PRIVITY_PORT": "tcp://10.0.0.1:8000"}) == []


def test_the_url_for_clients_is_a_warning_if_it_may_be_meant_for_the_service() -> None:
    url = {"PRIVITY_URL": "https://chat.example.org"}

    assert setting_warnings(url) == [
        "PRIVITY_URL is only for clients. The service reads PRIVITY_PUBLIC_URL."
    ]
    assert setting_warnings({**url, "PRIVITY_PUBLIC_URL": "https://chat.example.org"}) == []
    assert setting_warnings({"PRIVITY_URL": "http://127.0.0.1:8000"}) == []


def test_serve_and_doctor_show_errors_and_warnings() -> None:
    names = {"PRIVITY_KEY": "planted", "REDIS_URI": "planted"}
    served = run_cli_in_process("serve", **names)
    examined = run_cli_in_process("doctor", REDIS_URI="planted")

    assert served.code == 2
    assert served.err.splitlines() == [
        "privity: warning: REDIS_URI is not a setting of Privity; did you mean REDIS_URL?",
        "privity: PRIVITY_KEY: unknown setting; did you mean PRIVITY_KEYS?",
    ]
    assert examined.code == 1
    assert "REDIS_URI is not a setting of Privity; did you mean REDIS_URL?" in examined.out


def test_a_name_that_is_not_utf_8_can_be_printed() -> None:
    ended = run_cli_in_process("doctor", "--json", **{"PRIVITY_\udcff": "planted"})

    assert ended.code == 2
    assert "PRIVITY_?: unknown setting." in ended.out


def problems_of(name: str) -> list[str]:
    with pytest.raises(SettingsProblem) as caught:
        read_settings({name: "planted"})
    return caught.value.problems
