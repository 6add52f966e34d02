"""A test run fails if a required server is missing, and otherwise says what it ran without."""

import os
import subprocess
import sys

import pytest

from tests.architecture.sources import ROOT
from tests.support.server_requirements import problems, summary

KNOWN = ("valkey", "redis", "container")
MISSING = {"redis": "redis-server is not installed"}
SUITE = "tests/contract/test_readiness.py"
MISSING_ENGINE = "unix:///nowhere/docker.sock"


def pytest_run(*arguments: str, required: str) -> subprocess.CompletedProcess[str]:
    """A run of some tests on a machine without a Docker engine."""
    environment = {"PRIVITY_TEST_SERVERS": required, "DOCKER_HOST": MISSING_ENGINE}
    # Not the options of the outer run: with --cov, the inner run would end by combining, and so
    # deleting, the data files of the outer run's workers.
    environment["PYTEST_ADDOPTS"] = ""
    return subprocess.run(  # noqa: S603 - this very interpreter
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
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


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_run_without_a_required_server_fails_with_the_reason(workers: str) -> None:
    run = pytest_run(SUITE, "-n", workers, required="valkey,container")

    assert run.returncode == 4
    assert run.stderr.count("PRIVITY_TEST_SERVERS: container: ") == 1
    assert "passed" not in run.stdout


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_run_without_required_servers_passes_and_lists_the_missing_ones(workers: str) -> None:
    run = pytest_run(SUITE, "-n", workers, required="")

    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("servers used: ") == 1
    assert run.stdout.count("servers missing: container: ") == 1


def test_tests_of_the_domain_look_for_no_server_and_start_no_worker() -> None:
    run = pytest_run("tests/domain", "--verbose", required="all")

    assert run.returncode == 0, run.stdout + run.stderr
    assert "servers" not in run.stdout
    assert "workers" not in run.stdout
