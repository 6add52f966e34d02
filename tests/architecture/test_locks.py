"""The lock files have the versions of constraints.txt, with hashes, and nothing is missing."""

import re
import tomllib
from collections.abc import Mapping
from importlib.metadata import requires
from typing import Any, Final

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests.architecture.sources import PYPROJECT, ROOT

LOCKS = ("build", "run", "mcp", "test")
UV_LOCK: Final[dict[str, Any]] = tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))
PIN = re.compile(r"^([\w.-]+)(?:\[\w+\])?==([\w.]+)", re.MULTILINE)
LOCKED = re.compile(
    r"^[\w.-]+(\[\w+\])?==[\w.]+ (; .+ )?\\(\n    --hash=sha256:[0-9a-f]{64}( \\)?)+$"
)
HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")


def text_of(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def pins(text: str) -> dict[str, str]:
    """The version of each package."""
    return {str(canonicalize_name(name)): version for name, version in PIN.findall(text)}


def locked(lock: str) -> dict[str, str]:
    return pins(text_of(f"requirements/{lock}.txt"))


def hashes_in(text: str) -> dict[str, set[str]]:
    """The hashes of the files of each package."""
    found = {entry: pins(entry) for entry in entries(text)}
    return {name: set(HASH.findall(entry)) for entry, names in found.items() for name in names}


def uv_hashes(entry: Mapping[str, Any]) -> set[str]:
    files = [*entry.get("wheels", []), *filter(None, [entry.get("sdist")])]
    return {file["hash"] for file in files}


def entries(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return re.split(r"\n(?! )", "\n".join(lines))


def missing_from(lock: Mapping[str, str]) -> set[str]:
    """What the locked packages need here and the lock does not list."""
    needed = {
        str(canonicalize_name(requirement.name))
        for name in lock
        for requirement in map(Requirement, installed_requirements(name))
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    }
    return needed - set(lock)


def installed_requirements(name: str) -> list[str]:
    try:
        return requires(name) or []
    except ModuleNotFoundError:
        return []  # For another system or Python, or part of the build.


@pytest.mark.parametrize("lock", [*LOCKS, "node", "clients", "llama_index"])
def test_every_entry_has_a_version_and_hashes(lock: str) -> None:
    found = entries(text_of(f"requirements/{lock}.txt"))

    assert [entry for entry in found if not LOCKED.fullmatch(entry)] == []
    assert len(found) >= len(locked(lock)) > 0


def test_an_entry_without_a_hash_is_found() -> None:
    with_hash = f"a==1 ; b \\\n    --hash=sha256:{'0' * 64}"

    assert [bool(LOCKED.fullmatch(entry)) for entry in entries(f"{with_hash}\nc==1\n")] == [
        True,
        False,
    ]


def test_the_locks_have_exactly_the_versions_of_the_constraints() -> None:
    in_locks = locked("build") | locked("test")

    assert in_locks == pins(text_of("constraints.txt"))
    assert locked("run").items() <= locked("mcp").items() <= in_locks.items()


def test_the_lock_of_uv_has_the_same_versions_and_hashes() -> None:
    packages = {entry["name"]: entry for entry in UV_LOCK["package"] if entry["name"] != "privity"}
    hashes = hashes_in(text_of("requirements/test.txt"))

    assert {name: entry["version"] for name, entry in packages.items()} == locked("test")
    # The lock of uv leaves out files for Windows.
    assert {name for name, entry in packages.items() if not uv_hashes(entry) <= hashes[name]} == (
        set()
    )
    assert all(map(uv_hashes, packages.values()))


def test_the_lock_of_uv_has_the_requirements_of_the_project() -> None:
    [project] = [entry for entry in UV_LOCK["package"] if entry["name"] == "privity"]
    needed = PYPROJECT["project"]["dependencies"]
    optional = PYPROJECT["project"]["optional-dependencies"]

    # "uv run" would change the lock file if they differed.
    assert {
        (entry["name"], SpecifierSet(entry["specifier"]), entry.get("marker", "").replace("'", '"'))
        for entry in project["metadata"]["requires-dist"]
    } == {
        (canonicalize_name(requirement.name), requirement.specifier, str(requirement.marker or ""))
        for requirement in map(
            Requirement,
            [
                *needed,
                *(f'{line}; extra == "{name}"' for name in optional for line in optional[name]),
            ],
        )
    }


def test_the_locks_list_everything_that_the_project_needs() -> None:
    project = PYPROJECT["project"]
    run = {canonicalize_name(Requirement(line).name) for line in project["dependencies"]}
    test = {
        canonicalize_name(Requirement(line).name)
        for line in project["optional-dependencies"]["test"]
    }

    assert run <= set(locked("run"))
    assert run | {"mcp"} <= set(locked("mcp"))
    assert run | test <= set(locked("test"))
    assert {lock: missing_from(locked(lock)) for lock in LOCKS} == {
        lock: set[str]() for lock in LOCKS
    }


def test_a_package_that_is_missing_from_a_lock_is_found() -> None:
    assert missing_from({"aiohttp": "1", "yarl": "1"}) >= {"attrs", "multidict"}


def test_the_build_backend_is_pinned_and_locked() -> None:
    backend = pins("\n".join(PYPROJECT["build-system"]["requires"]))

    assert set(backend) == {"hatchling", "hatch-fancy-pypi-readme"}
    assert backend.items() <= locked("build").items()
    assert "editables" in locked("build")


def test_the_image_installs_only_what_is_locked() -> None:
    command = re.compile(r"pip (?:install|wheel) .+?(?= &&| \\|$)", re.MULTILINE)
    commands = command.findall(text_of("Dockerfile"))

    assert len(commands) == 4
    assert all(
        "--require-hashes -r requirements/" in command or "--no-deps --no-" in command
        for command in commands
    )
