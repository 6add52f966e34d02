"""Which servers a run of the tests must have, and what becomes of it when one is missing."""

import os
import subprocess
import sys

import pytest

from tests.architecture.sources import ROOT
from tests.support.server_requirements import problems, summary

KNOWN = ("valkey", "redis", "container")
MISSING = {"redis": "redis-server is not installed"}
SUITE = "tests/contract/test_readiness.py"
AN_ENGINE_THAT_IS_NOT_THERE = "unix:///nowhere/docker.sock"


def pytest_run(*arguments: str, required: str) -> subprocess.CompletedProcess[str]:
    """A run of some tests on a machine without a Docker engine."""
    said = {"PRIVITY_TEST_SERVERS": required, "DOCKER_HOST": AN_ENGINE_THAT_IS_NOT_THERE}
    return subprocess.run(  # noqa: S603 - this very interpreter
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        env={**os.environ, **said},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
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


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_run_without_a_required_server_fails_and_says_why(workers: str) -> None:
    run = pytest_run(SUITE, "-n", workers, required="valkey,container")

    assert run.returncode == 4
    assert run.stderr.count("PRIVITY_TEST_SERVERS: container: ") == 1
    assert "passed" not in run.stdout


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_run_with_nothing_required_uses_what_is_there_and_says_what_is_not(workers: str) -> None:
    run = pytest_run(SUITE, "-n", workers, required="")

    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("servers at hand: ") == 1
    assert run.stdout.count("servers absent: container: ") == 1


def test_tests_of_the_domain_look_for_no_server_and_start_no_worker() -> None:
    run = pytest_run("tests/domain", "--verbose", required="all")

    assert run.returncode == 0, run.stdout + run.stderr
    assert "servers" not in run.stdout
    assert "workers" not in run.stdout
