"""Reports which servers a run had, and stops it where a required one is missing."""

import os
from collections.abc import Collection, Mapping

import pytest

from tests.support.server_requirements import VARIABLE, problems, summary

_NEED_SERVERS = {"browser", "clients", "contract", "e2e", "faults", "integration", "openai_clients"}
_needed = pytest.StashKey[bool]()


def pytest_collection_finish(session: pytest.Session) -> None:
    # Looking for servers takes a second and starts Docker's client: only where a test needs one.
    needed = any(item.path.parent.name in _NEED_SERVERS for item in session.items)
    session.config.stash[_needed] = needed
    if needed and (found := problems(os.environ.get(VARIABLE, ""), *_servers())):
        raise pytest.UsageError(*found)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if config.stash.get(_needed, False):
        for line in summary(*_servers()):
            terminalreporter.write_line(line)


def _servers() -> tuple[Collection[str], Mapping[str, str]]:
    """The names of all kinds of servers, and why those that are missing are."""
    from tests.support.redis_kinds import KINDS, missing  # noqa: PLC0415 - loads a Redis client

    return (*KINDS, "compose"), missing()
