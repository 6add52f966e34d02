"""A test run fails if a required server is missing, and otherwise says what it ran without."""

import os
import subprocess
import sys

from tests.architecture.sources import ROOT
from tests.support.server_requirements import problems, summary

KNOWN = ("valkey", "redis", "container")
MISSING = {"redis": "redis-server is not installed"}
MISSING_ENGINE = "unix:///nowhere/docker.sock"


def pytest_run(required: str) -> subprocess.CompletedProcess[str]:
    """A run of one small suite on a machine without a Docker engine."""
    environment = {"PRIVITY_TEST_SERVERS": required, "DOCKER_HOST": MISSING_ENGINE}
    suite = "tests/contract/test_readiness.py"
    return subprocess.run(  # noqa: S603 - this very interpreter
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", suite],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_without_required_servers_there_is_no_problem() -> None:
    assert problems("", KNOWN, MISSING) == []


def test_a_required_server_that_is_there_is_no_problem() -> None:
    assert problems("valkey, container", KNOWN, MISSING) == []


def test_a_required_server_that_is_missing_is_a_problem_with_its_reason() -> None:
    expected = ["PRIVITY_TEST_SERVERS: redis: redis-server is not installed"]

    assert problems("valkey,redis", KNOWN, MISSING) == expected
    assert problems("all", KNOWN, MISSING) == expected


def test_an_unknown_server_is_a_problem() -> None:
    assert problems("oracle", KNOWN, {}) == [
        "PRIVITY_TEST_SERVERS: oracle: is none of all, container, redis, valkey"
    ]


def test_the_summary_lists_used_and_missing_servers() -> None:
    assert summary(KNOWN, MISSING) == [
        "servers used: container, valkey",
        "servers missing: redis: redis-server is not installed",
    ]


def test_a_run_without_a_required_server_fails_with_the_reason() -> None:
    run = pytest_run("valkey,container")

    assert run.returncode == 4
    assert "PRIVITY_TEST_SERVERS: container: " in run.stderr
    assert "passed" not in run.stdout


def test_a_run_without_required_servers_passes_and_lists_the_missing_ones() -> None:
    run = pytest_run("")

    assert run.returncode == 0, run.stdout + run.stderr
    assert "servers used: " in run.stdout
    assert "servers missing: container: " in run.stdout
