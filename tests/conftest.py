"""Says which servers a run had; ends it where a required one is missing."""

import os

import pytest

from tests.integration.kinds import KINDS, missing
from tests.requirements import VARIABLE, problems, summary

_KNOWN = (*KINDS, "compose")


def pytest_sessionstart() -> None:
    found = problems(os.environ.get(VARIABLE, ""), _KNOWN, missing())
    if found:
        raise pytest.UsageError(*found)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in summary(_KNOWN, missing()):
        terminalreporter.write_line(line)
