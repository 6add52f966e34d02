"""The wheel is an application: it installs beside packages that have the names of its folders."""

import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator, Sequence
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from urllib.request import urlopen

import pytest
from attrs import frozen

from tests.architecture.sources import FOLDERS, PYPROJECT, ROOT, own_files

pytestmark = pytest.mark.xdist_group("wheel")

LINK = re.compile(r"\]\(([^)\s]+)\)|<(?:img|a) [^>]*?(?:src|href)=\"([^\"]+)")
FOREIGN = "foreign"
FOREIGN_PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "foreign"
version = "1"
[tool.hatch.build.targets.wheel]
packages = ["adapters"]
"""
OWNER_OF_ADAPTERS = "import adapters; print(adapters.OWNER)"


@frozen(kw_only=True)
class Environment:
    """A virtual environment outside the source tree; commands run in an empty folder."""

    folder: Path

    def run(self, program: str, *arguments: str) -> str:
        """The output of a program of this environment."""
        return _run([str(self.folder / "bin" / program), *arguments], self.folder / "empty")

    @property
    def site_packages(self) -> Path:
        [folder] = self.folder.glob("lib/python*/site-packages")
        return folder


def _run(command: Sequence[str], folder: Path) -> str:
    ended = subprocess.run(  # noqa: S603 - programs of the test's own environments
        command,
        cwd=folder,
        env=_variables(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout.strip()


def _variables() -> dict[str, str]:
    settings = ("PRIVITY_", "MODEL_", "REDIS_", "ASSISTANT_", "PYTHON", "COVERAGE_")
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(settings)}
    return {**inherited, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def _build(source: Path, target: Path) -> Path:
    _run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)], source)
    [wheel] = target.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the wheel and with another distribution, which owns ``adapters``."""
    folder = tmp_path_factory.mktemp("environment")
    (folder / "foreign" / "adapters").mkdir(parents=True)
    (folder / "foreign" / "pyproject.toml").write_text(FOREIGN_PROJECT)
    (folder / "foreign" / "adapters" / "__init__.py").write_text(f'OWNER = "{FOREIGN}"\n')
    (folder / "empty").mkdir()
    _run([sys.executable, "-m", "venv", str(folder)], folder)
    environment = Environment(folder=folder)
    foreign = _build(folder / "foreign", folder / "dist")
    environment.run("pip", "install", "--no-index", "--no-deps", str(foreign), str(wheel))
    # The dependencies come from the environment of the tests, without its editable installations.
    (environment.site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return environment


@pytest.fixture(scope="module")
def served(environment: Environment) -> Iterator[str]:
    """The URL of a service that the installed command runs."""
    process = subprocess.Popen(  # noqa: S603 - the command under test
        [environment.folder / "bin" / "privity", "serve", "--port", "0"],
        cwd=environment.folder / "empty",
        env=_variables(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip().rpartition(" ")[2]
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return message_from_bytes(archive.read(name))


def links(text: str) -> list[str]:
    return [link or source for link, source in LINK.findall(text)]


def test_the_wheel_owns_one_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        top_level = {name.partition("/")[0] for name in archive.namelist()}

    version = PYPROJECT["project"]["version"]
    assert top_level == {"privity", f"privity-{version}.dist-info"}


def test_the_wheel_has_every_file_of_the_application(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("privity/")}

    files = {path.relative_to(ROOT).as_posix() for path in own_files()}
    assert packed == {name for name in files if name.startswith("privity/")} | {
        f"privity/application/{name}" for name in files if name.startswith(FOLDERS)
    }


def test_the_description_on_a_package_index_has_no_relative_link(wheel: Path) -> None:
    text = str(_metadata(wheel).get_payload())

    assert "## Run it" in text
    assert [link for link in links(text) if "://" not in link] == []
    assert "| `docs/settings.md` | every setting |" in text


def test_a_relative_link_is_found() -> None:
    text = 'a [b](c.md), [![d](e.png)](f) and <img src="g.png" alt="h">'

    assert links(text) == ["c.md", "e.png", "f", "g.png"]


@pytest.mark.parametrize("command", [("privity",), ("python", "-m", "privity")])
def test_the_command_works_beside_a_package_named_adapters(
    environment: Environment, command: tuple[str, ...]
) -> None:
    version = environment.run(*command, "--version")

    assert version == PYPROJECT["project"]["version"]


def test_the_source_tree_has_the_same_command_in_a_folder_with_such_a_package(
    tmp_path: Path,
) -> None:
    (tmp_path / "adapters").mkdir()
    (tmp_path / "adapters" / "__init__.py").write_text('raise SystemExit("imported")\n')

    version = _run([sys.executable, "-m", "privity", "--version"], tmp_path)

    assert version == PYPROJECT["project"]["version"]


def test_a_package_named_adapters_works_beside_the_wheel(environment: Environment) -> None:
    assert environment.run("python", "-c", OWNER_OF_ADAPTERS) == FOREIGN


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/health/live", '"ok"'),
        ("/", "<!doctype html>"),
        ("/docs", "<!doctype html>"),
        ("/openapi.json", '"openapi"'),
    ],
)
def test_the_installed_service_answers(served: str, path: str, content: str) -> None:
    with urlopen(f"{served}{path}", timeout=30) as response:  # noqa: S310 - the service under test
        assert content in response.read().decode()


def test_removing_the_wheel_leaves_the_other_package(wheel: Path, environment: Environment) -> None:
    environment.run("pip", "uninstall", "--yes", "privity")
    try:
        owner = environment.run("python", "-c", OWNER_OF_ADAPTERS)
        left = (environment.site_packages / "privity").exists()
    finally:
        environment.run("pip", "install", "--no-index", "--no-deps", str(wheel))

    assert (owner, left) == (FOREIGN, False)
