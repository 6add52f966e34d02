"""What operators are told about their settings, and what nobody is."""

from pathlib import Path

import pytest

from entrypoints.settings import Settings, SettingsProblem, read_settings, setting_infos

SECRETS = ("REDIS_URL", "PRIVITY_KEYS", "MODEL_API_KEY")
NO_KEYS = "Redis needs PRIVITY_KEYS: make a key with `privity new-key` and keep it."
NO_TLS = "REDIS_URL leaves this machine without TLS: use rediss:// or REDIS_PLAINTEXT=allow."
NO_PAIR = "REDIS_CLIENT_CERT and REDIS_CLIENT_KEY go together."

KEYS = "first:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


def problems_of(environment: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsProblem) as problem:
        read_settings(environment)
    assert str(problem.value) == "\n".join(problem.value.problems)
    return problem.value.problems


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        ({"REDIS_ENABLED": "true"}, "REDIS_ENABLED is true, but REDIS_URL is not set."),
        ({"REDIS_URL": "rediss://r.test"}, NO_KEYS),
        ({"REDIS_URL": "redis://[::1]:1/0", "REDIS_ENABLED": "1"}, NO_KEYS),
        ({"REDIS_URL": "redis://r.test", "PRIVITY_KEYS": KEYS}, NO_TLS),
        ({"REDIS_CLIENT_CERT": "/client.pem"}, NO_PAIR),
        (
            {"PRIVITY_EMBEDDING_ORIGINS": "https://a.test"},
            "PRIVITY_EMBEDDING_ORIGINS needs an https PRIVITY_PUBLIC_URL.",
        ),
        (
            {
                "PRIVITY_EMBEDDING_ORIGINS": "https://a.test",
                "PRIVITY_PUBLIC_URL": "http://chat.test",
            },
            "PRIVITY_EMBEDDING_ORIGINS needs an https PRIVITY_PUBLIC_URL.",
        ),
        ({"MODEL_BASE_URL": "http://m.test"}, "MODEL_BASE_URL is set, but MODEL_NAME is not."),
        ({"MODEL_NAME": "small"}, "MODEL_NAME is set, but MODEL_BASE_URL is not."),
        (
            {"MODEL_CONTEXT_TOKENS": "1024"},
            "MODEL_REPLY_TOKENS must be below MODEL_CONTEXT_TOKENS.",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    environment: dict[str, str], problem: str
) -> None:
    assert problems_of(environment) == [problem]


def test_every_problem_is_told_at_once_by_name() -> None:
    told = problems_of(
        {
            "PRIVITY_PROXIES": "planted-1",
            "MODEL_BASE_URL": "http://planted:2@m.test",
            "PRIVITY_KEYS_FILE": "/planted/3",
            "PRIVITY_LOG_LEVEL": "planted-4",
        }
    )

    assert [line.partition(":")[0] for line in told] == [
        "PRIVITY_KEYS_FILE",
        "PRIVITY_PROXIES",
        "MODEL_BASE_URL",
        "PRIVITY_LOG_LEVEL",
    ]
    assert "planted" not in str(told)


def test_all_contradictions_are_told_at_once() -> None:
    told = problems_of({"REDIS_ENABLED": "true", "MODEL_NAME": "a", "MODEL_REPLY_TOKENS": "9000"})

    assert len(told) == 3


def test_no_value_is_shown_also_not_as_a_cause() -> None:
    environment = dict.fromkeys((each.name for each in setting_infos()), "planted")

    with pytest.raises(SettingsProblem) as problem:
        read_settings(environment)

    assert "planted" not in repr(problem.value)
    assert problem.value.__cause__ is None
    assert problem.value.__context__ is None


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_may_be_given_as_a_file(name: str, tmp_path: Path) -> None:
    secret = "redis://localhost" if name == "REDIS_URL" else KEYS
    (tmp_path / "secret").write_text(f" {secret}\n", "utf-8")
    environment = {f"{name}_FILE": str(tmp_path / "secret"), "REDIS_ENABLED": "false"}

    settings = read_settings({**environment, name: "passed over"})

    assert secret in (settings.redis_url, settings.keys, settings.model_api_key)


@pytest.mark.parametrize("name", SECRETS)
def test_an_empty_file_counts_as_absent(name: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("\n", "utf-8")

    assert read_settings({f"{name}_FILE": str(tmp_path / "secret")}) == Settings()


@pytest.mark.parametrize("name", SECRETS)
def test_a_file_that_cannot_be_read_is_told_without_its_path(name: str, tmp_path: Path) -> None:
    told = problems_of({f"{name}_FILE": str(tmp_path / "planted")})

    assert told == [f"{name}_FILE: cannot be read."]


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\xff\xfe")

    assert problems_of({"PRIVITY_KEYS_FILE": str(tmp_path / "secret")}) == [
        "PRIVITY_KEYS: expected text."
    ]


def test_what_is_no_secret_is_not_read_from_files(tmp_path: Path) -> None:
    (tmp_path / "name").write_text("x", "utf-8")
    plain = [info.name for info in setting_infos() if not info.secret]

    settings = read_settings({f"{name}_FILE": str(tmp_path / "name") for name in plain})

    assert settings == Settings()


def test_settings_shown_show_no_secret() -> None:
    settings = Settings(redis_url="planted-1", keys="planted-2", model_api_key="planted-3")

    assert "planted" not in repr(settings)
    assert "max_turns=2000" in repr(settings)
    assert [info.name for info in setting_infos() if info.secret] == list(SECRETS)
