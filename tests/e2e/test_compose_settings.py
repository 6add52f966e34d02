"""One ``.env`` for Compose and for the shell, and what Compose says about a missing file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from entrypoints.settings import read_settings
from tests.architecture.test_compose_file import PASSED
from tests.architecture.test_docs import EXAMPLE, example_values, page
from tests.support.compose import IMAGE, Composed, run
from tests.support.redis_kinds import compose_commands

COMMANDS: Final = compose_commands() or ((),)
EXAMPLES: Final = example_values()
OWN: Final[Mapping[str, str]] = {
    "PRIVITY_EMBEDDING_ORIGINS": "https://www.example.org, https://example.org",
    "MODEL_NAME": """a name with spaces, a #, "quotes" and a $HOME""",
}
VALUES: Final[Mapping[str, str]] = {**EXAMPLES, **OWN}


@pytest.fixture(params=COMMANDS, ids=lambda command: "_".join(command) or "none")
def command(request: pytest.FixtureRequest) -> tuple[str, ...]:
    if not request.param:
        pytest.skip("neither docker-compose nor docker compose is installed")
    found: tuple[str, ...] = request.param
    return found


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    """The example with every setting uncommented, and some that need quotes."""
    file = tmp_path / ".env"
    lines = [f"{name}='{value}'" for name, value in OWN.items()]
    example = EXAMPLE.sub(r"\1=\2", page(".env.example"))
    file.write_text("\n".join([example, *lines, ""]))
    return file


def in_compose(command: tuple[str, ...], env_file: Path) -> dict[str, str | None]:
    """The environment that the service would have."""
    described = run(*command, "--env-file", str(env_file), "config")
    assert described.returncode == 0, described.stderr
    document: dict[str, Any] = yaml.safe_load(described.stdout)
    environment = document["services"]["privity"]["environment"]
    return {name: value and value.replace("$$", "$") for name, value in environment.items()}


def in_shell(env_file: Path) -> dict[str, str]:
    """The environment after the line that .env.example recommends."""
    printed = run("sh", "-c", f"set -a; . {env_file}; set +a; exec env -0").stdout
    return dict(entry.split("=", 1) for entry in printed.split("\0") if entry)


def test_the_shell_and_compose_read_the_same_values(
    command: tuple[str, ...], env_file: Path
) -> None:
    passed = set(VALUES) & {name for name, value in PASSED.items() if value is None}
    shell, compose = in_shell(env_file), in_compose(command, env_file)

    assert len(passed) > 20
    assert {name: compose[name] for name in passed} == {name: VALUES[name] for name in passed}
    assert {name: shell[name] for name in VALUES} == VALUES


def test_the_redis_and_the_secrets_of_compose_are_its_own(
    command: tuple[str, ...], env_file: Path
) -> None:
    compose = in_compose(command, env_file)

    assert compose["REDIS_URL_FILE"] == "/secrets/redis-url"
    assert {"REDIS_URL", "REDIS_PLAINTEXT", "PRIVITY_KEYS", "MODEL_API_KEY"} & set(compose) == set()
    assert compose["PRIVITY_HOSTS"] == f"privity,{VALUES['PRIVITY_HOSTS']}"


def test_without_settings_nothing_is_passed(command: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / ".env").touch()
    compose = in_compose(command, tmp_path / ".env")
    inside = {
        name: value
        for name, value in compose.items()
        if value and not value.startswith("/secrets/")
    }

    assert inside == {"PRIVITY_HOSTS": "privity,", "NO_PROXY": "host.docker.internal,"}
    assert read_settings(inside).hosts == ("privity",)


@pytest.mark.xdist_group("compose")
def test_a_missing_file_is_reported_and_no_folder_is_made(
    services: Composed, command: tuple[str, ...], tmp_path: Path
) -> None:
    missing = tmp_path / "missing.toml"
    env_file = tmp_path / ".env"
    env_file.write_text(f"PRIVITY_IMAGE={IMAGE}\nASSISTANT_FILE={missing}\n")
    options = ("--env-file", str(env_file), "--project-name", f"{services.project}-missing")
    try:
        started = run(*command, *options, "up", "--detach", "prepare")
    finally:
        run(*command, *options, "down", "--volumes")

    assert started.returncode != 0
    assert f"bind source path does not exist: {missing}" in started.stderr
    assert not missing.exists()
