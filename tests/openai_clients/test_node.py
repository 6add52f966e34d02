"""OpenAI's JavaScript package, unmodified.

It needs node and npm. Without them these tests are skipped, unless ``PRIVITY_TEST_NODE=required``
says that this machine is to have them, as in CI.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

SCENES = ["conversations", "responses", "tools", "streaming", "refusals", "models"]
_HERE = Path(__file__).parent / "node"
_TIMEOUT_SECONDS = 120


def without(what: str) -> NoReturn:
    if os.environ.get("PRIVITY_TEST_NODE") == "required":
        pytest.fail(f"PRIVITY_TEST_NODE=required, but {what}.")
    pytest.skip(f"OpenAI's JavaScript package was not tried: {what}.")


def run(*command: str, at: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - what is run stands in this file
        command,
        cwd=at,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_SECONDS,
        check=False,
    )


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the scenes and the package they try."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        without("node or npm is missing")
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "scenes.mjs"):
        shutil.copy(_HERE / name, folder)
    done = run("npm", "install", "--no-audit", "--no-fund", "--silent", at=folder)
    if done.returncode:
        without(f"npm could not install it: {done.stderr[-500:]}")
    return folder


@pytest.mark.xdist_group("node")
@pytest.mark.parametrize("scene", SCENES)
def test_the_javascript_package_works_unmodified(
    installed: Path, service_url: str, api_key: str, scene: str
) -> None:
    where = {"BASE_URL": f"{service_url}/v1", "API_KEY": api_key}
    done = run("node", "scenes.mjs", scene, at=installed, **where)

    assert done.returncode == 0, done.stderr


def test_every_scene_is_played() -> None:
    text = (_HERE / "scenes.mjs").read_text("utf-8")
    played = [
        line.split("(")[0].split()[-1] for line in text.splitlines() if line.startswith("  async ")
    ]

    assert played == SCENES
