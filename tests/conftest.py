"""Which runs use worker processes, which servers a run needs, and what it reports about them."""

import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

from tests.support.server_requirements import VARIABLE, problems, summary

_TESTS: Final = Path(__file__).parent
_WITH_SERVERS: Final = [
    _TESTS / suite
    for suite in [
        "abuse",
        "browser",
        "clients",
        "contract",
        "deploy",
        "e2e",
        "faults",
        "integration",
        "openai_clients",
    ]
]
# Most of the slow tests wait, so there is room for one worker more than there are cores.
_WORKERS: Final = min((os.cpu_count() or 1) + 1, 8)

# A deadline would fail whatever test the machine interrupts.
settings.register_profile("privity", deadline=None)
settings.load_profile("privity")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Workers take seconds to start: they are used only for whole suites that need servers."""
    is_narrowed = config.option.keyword or config.option.markexpr or config.getoption("lf", False)
    is_long = any(suite.is_relative_to(path) for suite in _WITH_SERVERS for path in _chosen(config))
    return _WORKERS if is_long and not is_narrowed else 0


def pytest_sessionstart(session: pytest.Session) -> None:
    is_worker = hasattr(session.config, "workerinput")
    if is_worker or not _needs_servers(session.config):
        return
    if found := problems(os.environ.get(VARIABLE, ""), *_servers()):
        raise pytest.UsageError(*found)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Report what was skipped, which would otherwise pass unnoticed, and the servers of the run."""
    skipped = Counter(
        str(report.longrepr[2]) for report in terminalreporter.stats.get("skipped", ())
    )
    for reason, count in sorted(skipped.items()):
        terminalreporter.write_line(f"{count} tests not run: {reason}", yellow=True, bold=True)
    if _needs_servers(config):
        for line in summary(*_servers()):
            terminalreporter.write_line(line)


def _needs_servers(config: pytest.Config) -> bool:
    """Whether to look for servers, which takes a second and starts Docker's client."""
    return any(
        suite.is_relative_to(path) or path.is_relative_to(suite)
        for suite in _WITH_SERVERS
        for path in _chosen(config)
    )


def _chosen(config: pytest.Config) -> Sequence[Path]:
    """The files and folders that the command line names."""
    arguments = (argument.partition("::")[0] for argument in config.args)
    return [(config.invocation_params.dir / path).resolve() for path in arguments]


def _servers() -> tuple[Collection[str], Mapping[str, str]]:
    """The names of all kinds of servers, and why each missing kind is missing."""
    from tests.support.redis_kinds import KINDS, missing  # noqa: PLC0415 - loads a Redis client
    from tests.support.reverse_proxies import PROGRAMS, missing_programs  # noqa: PLC0415

    return (*KINDS, "compose", *PROGRAMS), {**missing(), **missing_programs()}
