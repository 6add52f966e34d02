"""Which problems of the settings are reported, and that no value is shown."""

from pathlib import Path

import pytest

from entrypoints.settings import Settings, SettingsProblem, read_settings, setting_infos

HOOK_SECRET = f"whsec_{'A' * 32}"
SECRET_TEXTS = {
    "REDIS_URL": "redis://localhost",
    "PRIVITY_HOOK_SECRET": f"whsec_{'A' * 32} , whsec_{'B' * 32}",
}
SECRET_VALUES = {"PRIVITY_HOOK_SECRET": (bytes(24), b"\x04\x10A" * 8)}
SECRETS = ("REDIS_URL", "PRIVITY_KEYS", "MODEL_API_KEY", "PRIVITY_HOOK_SECRET")
NO_KEYS = "Redis needs PRIVITY_KEYS. Create a key with `privity new-key` and store it safely."
NO_TLS = (
    "REDIS_URL connects to a remote Redis without TLS. Use rediss://, or set REDIS_PLAINTEXT=allow."
)
NO_MODEL_TLS = (
    "MODEL_BASE_URL connects to another machine without TLS. Use https://, or set "
    "MODEL_PLAINTEXT=allow."
)
NO_HTTPS = (
    "PRIVITY_EMBEDDING_ORIGINS needs a PRIVITY_PUBLIC_URL with https, unless all origins are on "
    "this machine, such as http://localhost:3000."
)
OTHER_HOST = (
    "PRIVITY_EMBEDDING_ORIGINS and PRIVITY_PUBLIC_URL must have the same host if they are http "
    "URLs: localhost and 127.0.0.1 are different sites for a browser."
)
INCOMPLETE_PAIR = "REDIS_CLIENT_CERT and REDIS_CLIENT_KEY must be set together."

KEYS = "first:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


def problems_of(environment: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsProblem) as raised:
        read_settings(environment)
    assert str(raised.value) == "\n".join(raised.value.problems)
    return raised.value.problems


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        ({"REDIS_ENABLED": "true"}, "REDIS_ENABLED is true, but REDIS_URL is not set."),
        ({"REDIS_URL": "rediss://r.test"}, NO_KEYS),
        ({"REDIS_URL": "redis://[::1]:1/0", "REDIS_ENABLED": "1"}, NO_KEYS),
        ({"REDIS_URL": "redis://r.test", "PRIVITY_KEYS": KEYS}, NO_TLS),
        ({"REDIS_CLIENT_CERT": __file__}, INCOMPLETE_PAIR),
        *(
            ({"PRIVITY_EMBEDDING_ORIGINS": origins, "PRIVITY_PUBLIC_URL": url}, problem)
            for origins, url, problem in (
                ("https://a.test", "", NO_HTTPS),
                ("https://a.test", "http://localhost", NO_HTTPS),
                ("http://a.test", "", NO_HTTPS),
                ("https://localhost", "", NO_HTTPS),
                ("http://localhost:3000,https://a.test", "", NO_HTTPS),
                ("http://127.0.0.1:3000", "http://localhost:8000", OTHER_HOST),
                ("http://localhost:1,http://127.0.0.1:1", "http://localhost:2", OTHER_HOST),
            )
        ),
        ({"PRIVITY_HSTS": "true"}, "PRIVITY_HSTS needs a PRIVITY_PUBLIC_URL with https."),
        ({"MODEL_BASE_URL": "https://m.test"}, "MODEL_BASE_URL is set, but MODEL_NAME is not."),
        *(
            ({"MODEL_BASE_URL": f"http://{host}/v1", "MODEL_NAME": "small"}, NO_MODEL_TLS)
            for host in ("m.test", "10.0.0.1:8080", "[fd00::1]", "host.docker.internal", "ollama")
        ),
        ({"MODEL_NAME": "small"}, "MODEL_NAME is set, but MODEL_BASE_URL is not."),
        (
            {"PRIVITY_HOOK_URL": "https://hook.test/"},
            (
                "PRIVITY_HOOK_URL needs PRIVITY_HOOK_SECRET. Create one with "
                "`privity new-hook-secret`, and give it to the hook as well."
            ),
        ),
        (
            {"PRIVITY_HOOK_SECRET": HOOK_SECRET},
            "PRIVITY_HOOK_SECRET is set, but PRIVITY_HOOK_URL is not.",
        ),
        (
            {"PRIVITY_HOOK_CONNECT_TIMEOUT_SECONDS": "11"},
            (
                "PRIVITY_HOOK_CONNECT_TIMEOUT_SECONDS must not be more than "
                "PRIVITY_HOOK_TIMEOUT_SECONDS."
            ),
        ),
        (
            {"PRIVITY_HOOK_URL": "http://hook.test/", "PRIVITY_HOOK_SECRET": HOOK_SECRET},
            (
                "PRIVITY_HOOK_URL connects to another machine without TLS. Use https://, or set "
                "PRIVITY_HOOK_PLAINTEXT=allow."
            ),
        ),
        ({"MODEL_API_KEY": "planted"}, "MODEL_API_KEY is set, but MODEL_BASE_URL is not."),
        (
            {"MODEL_CONTEXT_TOKENS": "1024", "MODEL_REPLY_TOKENS": "1024"},
            "MODEL_REPLY_TOKENS must be less than MODEL_CONTEXT_TOKENS.",
        ),
    ],
)
def test_settings_that_do_not_fit_together_are_rejected(
    environment: dict[str, str], problem: str
) -> None:
    assert problems_of(environment) == [problem]


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://localhost:8080/v1", None),
        ("http://127.0.0.1/v1", None),
        ("http://[::1]/v1", None),
        ("https://m.test/v1", None),
        ("http://m.test/v1", "allow"),
    ],
)
def test_a_model_server_is_reached_with_tls_or_on_this_machine_or_by_permission(
    url: str, allowed: str | None
) -> None:
    settings = read_settings(
        {"MODEL_BASE_URL": url, "MODEL_NAME": "small", "MODEL_PLAINTEXT": allowed or ""}
    )

    assert settings.model_base_url == url


def test_every_problem_is_reported_at_once_by_name() -> None:
    problems = problems_of(
        {
            "PRIVITY_PROXIES": "planted-1",
            "MODEL_BASE_URL": "http://planted:2@m.test",
            "PRIVITY_KEYS_FILE": "/planted/3",
            "PRIVITY_LOG_LEVEL": "planted-4",
        }
    )

    assert [problem.partition(":")[0] for problem in problems] == [
        "PRIVITY_KEYS_FILE",
        "PRIVITY_PROXIES",
        "MODEL_BASE_URL",
        "PRIVITY_LOG_LEVEL",
    ]
    assert "planted" not in str(problems)


def test_all_failed_cross_checks_are_reported_at_once() -> None:
    problems = problems_of(
        {
            "REDIS_ENABLED": "true",
            "MODEL_NAME": "a",
            "MODEL_CONTEXT_TOKENS": "8192",
            "MODEL_REPLY_TOKENS": "9000",
        }
    )

    assert len(problems) == 3


def test_no_value_is_shown_not_even_as_a_cause() -> None:
    environment = dict.fromkeys((info.name for info in setting_infos()), "planted")

    with pytest.raises(SettingsProblem) as problem:
        read_settings(environment)

    assert "planted" not in repr(problem.value)
    assert problem.value.__cause__ is None
    assert problem.value.__context__ is None


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_can_be_read_from_a_file(name: str, tmp_path: Path) -> None:
    secret = SECRET_TEXTS.get(name, KEYS)
    (tmp_path / "secret").write_text(f" {secret}\n", "utf-8")
    environment = {f"{name}_FILE": str(tmp_path / "secret"), "REDIS_ENABLED": "false"}
    servers = {"MODEL_BASE_URL": "http://localhost/v1", "MODEL_NAME": "small"}
    if name == "PRIVITY_HOOK_SECRET":
        servers["PRIVITY_HOOK_URL"] = "http://localhost/hook"

    settings = read_settings({**environment, **servers, name: "ignored"})

    values = (settings.redis_url, settings.keys, settings.model_api_key, settings.hook_keys)
    assert SECRET_VALUES.get(name, secret) in values


@pytest.mark.parametrize("name", SECRETS)
def test_the_null_device_counts_as_not_set(name: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/null")

    assert read_settings({f"{name}_FILE": "/dev/null"}) == Settings()
    assert read_settings({f"{name}_FILE": str(tmp_path / "link")}) == Settings()


def test_only_secrets_are_read_from_files(tmp_path: Path) -> None:
    (tmp_path / "name").write_text("x", "utf-8")
    plain = [info.name for info in setting_infos() if not info.secret]

    problems = problems_of({f"{name}_FILE": str(tmp_path / "name") for name in plain})

    assert sorted(problem.partition(":")[0] for problem in problems) == sorted(
        f"{name}_FILE" for name in plain
    )


def test_the_repr_of_settings_shows_no_secret() -> None:
    settings = Settings(redis_url="planted-1", keys="planted-2", model_api_key="planted-3")

    assert "planted" not in repr(settings)
    assert "max_turns=2000" in repr(settings)
    assert [info.name for info in setting_infos() if info.secret] == list(SECRETS)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("temperature", "use MODEL_TEMPERATURE instead of temperature."),
        ("max_tokens", "use MODEL_REPLY_TOKENS instead of max_tokens."),
        ("model", "use MODEL_NAME instead of model."),
        ("messages", "remove messages, which Privity decides itself."),
        ("stream", "remove stream, which Privity decides itself."),
        ("store", "remove store, which Privity decides itself."),
        ("tools", "remove tools, which Privity decides itself."),
        ("n", "remove n, which Privity decides itself."),
    ],
)
def test_an_option_that_privity_decides_is_refused_by_name(name: str, sentence: str) -> None:
    options = f'{{"think": false, "{name}": "planted"}}'

    assert problems_of({"MODEL_OPTIONS": options}) == [f"MODEL_OPTIONS: {sentence}"]


def test_the_operators_options_are_joined() -> None:
    settings = read_settings({"MODEL_OPTIONS": '{"think": false}', "MODEL_TEMPERATURE": "0"})

    assert settings.request_options == {"think": False, "temperature": 0.0}


def test_certificates_that_cannot_be_used_are_a_problem(tmp_path: Path) -> None:
    (tmp_path / "planted.pem").write_text("planted")

    missing = problems_of({"MODEL_CA_FILE": str(tmp_path / "planted")})
    empty = problems_of({"MODEL_CA_FILE": str(tmp_path / "planted.pem")})

    assert missing == ["MODEL_CA_FILE: the file does not exist."]
    assert empty == ["MODEL_CA_FILE: the file contains no certificate in PEM format."]
