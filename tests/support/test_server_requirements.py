"""Which servers a run of the tests must have, and what becomes of it when one is missing."""

import os
import subprocess
import sys

from tests.architecture.sources import ROOT
from tests.support.server_requirements import problems, summary

KNOWN = ("valkey", "redis", "container")
MISSING = {"redis": "redis-server is not installed"}
AN_ENGINE_THAT_IS_NOT_THERE = "unix:///nowhere/docker.sock"


def pytest_run(required: str) -> subprocess.CompletedProcess[str]:
    """A run of one small suite on a machine without a Docker engine."""
    said = {"PRIVITY_TEST_SERVERS": required, "DOCKER_HOST": AN_ENGINE_THAT_IS_NOT_THERE}
    suite = "tests/contract/test_readiness.py"
    return subprocess.run(  # noqa: S603 - this very interpreter
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", suite],
        cwd=ROOT,
        env={**os.environ, **said},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_nothing_required_is_never_a_problem() -> None:
    assert problems("", KNOWN, MISSING) == []


def test_what_is_required_and_there_is_no_problem() -> None:
    assert problems("valkey, container", KNOWN, MISSING) == []


def test_what_is_required_and_missing_is_named_with_its_reason() -> None:
    expected = ["PRIVITY_TEST_SERVERS: redis: redis-server is not installed"]

    assert problems("valkey,redis", KNOWN, MISSING) == expected
    assert problems("all", KNOWN, MISSING) == expected


def test_a_server_nobody_knows_is_a_problem_and_not_a_pass() -> None:
    assert problems("oracle", KNOWN, {}) == [
        "PRIVITY_TEST_SERVERS: oracle: is none of all, container, redis, valkey"
    ]


def test_the_summary_says_what_was_used_and_what_was_absent() -> None:
    assert summary(KNOWN, MISSING) == [
        "servers at hand: container, valkey",
        "servers absent: redis: redis-server is not installed",
    ]


def test_a_run_without_a_required_server_fails_and_says_why() -> None:
    run = pytest_run("valkey,container")

    assert run.returncode == 4
    assert "PRIVITY_TEST_SERVERS: container: " in run.stderr
    assert "passed" not in run.stdout


def test_a_run_with_nothing_required_uses_what_is_there_and_says_what_is_not() -> None:
    run = pytest_run("")

    assert run.returncode == 0, run.stdout + run.stderr
    assert "servers at hand: " in run.stdout
    assert "servers absent: container: " in run.stdout
