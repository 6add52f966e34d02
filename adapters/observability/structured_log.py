"""Telemetry events as log lines; they never contain message text."""

import logging
from collections.abc import Callable
from typing import Final

import structlog

_WARNINGS: Final = frozenset(
    {"turn.failed", "turn.not-saved", "turn.settled", "model.parameter-rejected"}
)
_ERRORS: Final = frozenset({"turn.crashed", "request.failed"})


class StructuredLog:
    """Writes events to the logger ``privity``."""

    def __init__(self, pseudonym: Callable[[str], str]) -> None:
        """``pseudonym`` returns the keyed digest that replaces a session id."""
        self._pseudonym = pseudonym
        self._log = structlog.get_logger("privity")

    def emit(self, event: str, **fields: str | float | bool | None) -> None:
        """See ``ports.telemetry.Telemetry.emit``."""
        logged = {name: value for name, value in fields.items() if value is not None}
        session_id = logged.pop("session_id", None)
        if session_id is not None:
            logged["session"] = self._pseudonym(str(session_id))
        self._log.log(_level(event), event, **logged)


def _level(event: str) -> int:
    if event in _ERRORS:
        return logging.ERROR
    return logging.WARNING if event in _WARNINGS else logging.INFO
