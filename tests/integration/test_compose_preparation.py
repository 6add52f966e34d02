"""What compose/prepare.py writes, and what it says about files that it cannot use."""

from pathlib import Path

import pytest

from entrypoints.settings import Settings, read_settings
from tests.support.compose_preparation import FILES, Preparation

ASSISTANT = "system_prompt = 'Be kind.'\nwelcome.en = 'Hello from our town.'\n"


@pytest.fixture
def preparation(tmp_path: Path) -> Preparation:
    return Preparation.create(tmp_path)


def secrets_of(preparation: Preparation) -> dict[str, str]:
    names = ("redis/operator-password", "redis/users.acl", "privity/keys", "privity/redis-url")
    return {name: preparation.secret(name) for name in names}


def test_secrets_are_created_once(preparation: Preparation) -> None:
    preparation.run()
    first = secrets_of(preparation)
    preparation.run()

    assert secrets_of(preparation) == first
    assert len(set(first.values())) == len(first)


def test_files_that_are_not_provided_count_as_not_set(preparation: Preparation) -> None:
    preparation.run()
    secrets = preparation.root / "secrets/privity"
    settings = read_settings(
        {
            "ASSISTANT_FILE": str(secrets / "assistant.toml"),
            "MODEL_API_KEY_FILE": str(secrets / "model-api-key"),
            "MODEL_CA_FILE": str(secrets / "model-ca.pem"),
        }
    )

    assert settings == Settings()


def test_a_file_that_is_provided_or_changed_later_is_replaced(
    preparation: Preparation,
) -> None:
    preparation.run()
    preparation.provide("ASSISTANT_FILE", ASSISTANT)
    preparation.provide("MODEL_API_KEY_FILE", "a-key")
    preparation.run()
    assistant = preparation.secret("privity/assistant.toml")
    api_key = preparation.secret("privity/model-api-key")
    for setting in ("ASSISTANT_FILE", "MODEL_API_KEY_FILE"):
        preparation.provide(setting, "")
    preparation.run()

    assert (assistant, api_key) == (ASSISTANT, "a-key")
    assert preparation.secret("privity/assistant.toml") == ""
    assert preparation.secret("privity/model-api-key") == ""


def test_master_keys_that_are_provided_replace_the_generated_one(preparation: Preparation) -> None:
    preparation.run()
    backup = preparation.secret("privity/keys")
    preparation.provide("PRIVITY_KEYS_FILE", f"second:{'A' * 43}=,{backup}")
    preparation.run()

    assert preparation.secret("privity/keys") == f"second:{'A' * 43}=,{backup}"


def test_an_older_installation_gets_the_operators_password(preparation: Preparation) -> None:
    preparation.run()
    before = secrets_of(preparation)
    (preparation.root / "secrets/redis/operator-password").unlink()
    preparation.run()

    after = secrets_of(preparation)
    assert {name for name in after if after[name] != before[name]} == {
        "redis/operator-password",
        "redis/users.acl",
    }


@pytest.mark.parametrize("setting", FILES)
def test_a_folder_instead_of_a_file_is_named(preparation: Preparation, setting: str) -> None:
    preparation.input(setting).unlink()
    preparation.input(setting).mkdir()

    with pytest.raises(Exception, match=f"^{setting} names a folder instead of a file. "):
        preparation.run()
    assert not list((preparation.root / "secrets/privity").iterdir())


def test_a_file_that_cannot_be_read_is_named(preparation: Preparation) -> None:
    preparation.input("ASSISTANT_FILE").unlink()

    with pytest.raises(Exception, match=r"^ASSISTANT_FILE: .*\(No such file or directory\)\.$"):
        preparation.run()


@pytest.mark.parametrize("line", ["MODEL_API_KEY=sk-1", "export MODEL_API_KEY='sk-1'"])
def test_an_api_key_that_compose_does_not_take_is_refused_without_showing_it(
    preparation: Preparation, line: str
) -> None:
    (preparation.root / "project/.env").write_text(f"MODEL_NAME=m\n{line}\n")

    with pytest.raises(Exception, match=r"^MODEL_API_KEY is set in \.env, but") as refused:
        preparation.run()
    assert "sk-1" not in str(refused.value)


@pytest.mark.parametrize("line", ["#MODEL_API_KEY=sk-1", "MODEL_API_KEY=", "OTHER_MODEL_API_KEY=x"])
def test_an_env_file_without_an_api_key_is_accepted(preparation: Preparation, line: str) -> None:
    (preparation.root / "project/.env").write_text(f"{line}\n")
    preparation.run()

    assert preparation.secret("privity/model-api-key") == ""


def test_a_key_in_a_file_takes_precedence(preparation: Preparation) -> None:
    (preparation.root / "project/.env").write_text("MODEL_API_KEY=sk-1\n")
    preparation.provide("MODEL_API_KEY_FILE", "sk-2")
    preparation.run()

    assert preparation.secret("privity/model-api-key") == "sk-2"


@pytest.mark.parametrize(
    ("name", "meant"), [("PRIVITY_LIMIT", "PRIVITY_LIMITS"), ("PRIVITY_PROXY", "PRIVITY_PROXIES")]
)
def test_a_misspelt_setting_that_no_container_would_get_is_refused(
    preparation: Preparation, name: str, meant: str
) -> None:
    (preparation.root / "project/.env").write_text(f"MODEL_NAME=m\n  export {name}=planted\n")

    with pytest.raises(Exception, match="is not a setting of Privity") as refused:
        preparation.run()
    assert (
        str(refused.value) == f"{name} in .env is not a setting of Privity; did you mean {meant}?"
    )


@pytest.mark.parametrize(
    "line",
    [
        *("PRIVITY_V1=closed", "PRIVITY_PORT=9000", "PRIVITY_IMAGE=x", "PRIVITY_KEYS_FILE=./k"),
        *("PRIVITY_KEYS=x", "PRIVITY_URL=http://localhost", "PRIVITY_CLIENT_KEY=x"),
        *("#PRIVITY_LIMIT=off", "PRIVITY_LIMIT=", "OTHER_PRIVITY_LIMIT=off", "REDIS_URI=x"),
    ],
)
def test_names_that_mean_something_elsewhere_are_accepted(
    preparation: Preparation, line: str
) -> None:
    (preparation.root / "project/.env").write_text(f"{line}\n")

    preparation.run()
