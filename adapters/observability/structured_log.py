"""Telemetry events as log lines; they never contain message text."""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

import structlog

from ports.findings import Level
from ports.telemetry import EVENTS, EventType, Severity

_LEVELS: Final = {
    Severity.INFO: logging.INFO,
    Severity.WARNING: logging.WARNING,
    Severity.ERROR: logging.ERROR,
}
_LEVELS_OF_FINDINGS: Final = {
    Level.WARNING.value: logging.WARNING,
    Level.PROBLEM.value: logging.ERROR,
}
_UNDECLARED: Final = EventType(Severity.ERROR, frozenset())


class StructuredLog:
    """Writes events to the logger ``privity``: only declared events with declared fields."""

    def __init__(self, pseudonym: Callable[[str], str]) -> None:
        """``pseudonym`` returns the keyed digest that replaces a session id."""
        self._pseudonym = pseudonym
        self._log = structlog.get_logger("privity")

    def emit(self, event: str, **fields: str | float | bool | None) -> None:
        """See ``ports.telemetry.Telemetry.emit``."""
        # An event that nobody declared may contain anything, so only its name is written.
        declared = EVENTS.get(event, _UNDECLARED)
        logged = {
            name: value
            for name, value in fields.items()
            if value is not None and name in declared.fields
        }
        session_id = logged.pop("session_id", None)
        if session_id is not None:
            logged["session"] = self._pseudonym(str(session_id))
        # A log that nobody can write any more must not end replies.
        with suppress(OSError, ValueError):
            self._log.log(_level(declared, fields), event, **logged)


def _level(declared: EventType, fields: Mapping[str, object]) -> int:
    if declared.severity is Severity.AS_FOUND:
        return _LEVELS_OF_FINDINGS.get(str(fields.get("finding")), logging.INFO)
    return _LEVELS[declared.severity]
