"""Schemathesis finds no difference between the OpenAPI document and the running service.

It sends valid and invalid requests, which it generates from the document, to every route, and
checks every answer: its status, headers and body, and whether it should have been accepted.
"""

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from adapters.sealing.client_keys import SealedClientKeys
from adapters.sealing.key_ring import KeyRing
from entrypoints.settings import Settings
from tests.support.fake_model import InstantModel
from tests.support.service import OLD, running_service_in_thread

ROOT: Final = Path(__file__).parents[2]
CONFIG: Final = Path(__file__).with_name("schemathesis.toml")
SCHEMATHESIS: Final = Path(sys.executable).with_name("schemathesis")
PHASES: Final = os.environ.get("PRIVITY_TEST_PHASES", "examples,fuzzing")
EXAMPLES: Final = "4"
SEED: Final = "13"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    settings = Settings(limits=False, v1=True, keys=OLD)
    with running_service_in_thread(settings, InstantModel("Fine.")) as url:
        yield url


@pytest.fixture(scope="module")
def key() -> str:
    """A key of the operator, which may speak for other people."""
    keys = SealedClientKeys(ring=KeyRing.parse(OLD), random_bytes=os.urandom)
    return keys.issue(from_operator=True)


@pytest.mark.parametrize(
    "chosen",
    [("--exclude-path-regex", "^/v1/"), ("--include-path-regex", "^/v1/")],
    ids=["native", "v1"],
)
async def test_schemathesis_finds_nothing(
    url: str, key: str, chosen: tuple[str, str], tmp_path: Path
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(SCHEMATHESIS, "--config-file", CONFIG, "run", f"{url}/openapi.json"),
        *("--header", f"Authorization: Bearer {key}", "--phases", PHASES),
        "--checks=all",
        *("--max-examples", EXAMPLES, "--seed", SEED, "--continue-on-failure"),
        *("--suppress-health-check", "all", "--generation-database", "none", "--no-color"),
        *chosen,
        # It keeps what it has sent in the current folder.
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()

    assert process.returncode == 0, output.decode()
