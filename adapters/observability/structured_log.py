"""Events as log lines of JSON or, on a terminal, as readable lines; never what was said."""

import logging
from collections.abc import Callable
from typing import Final

import structlog

_WARNINGS: Final = frozenset({"turn.failed", "turn.not-saved", "turn.settled"})
_ERRORS: Final = frozenset({"turn.crashed", "request.failed"})


class StructuredLog:
    """Telemetry that goes to the log."""

    def __init__(self, pseudonym: Callable[[str], str]) -> None:
        """``pseudonym`` gives the keyed digest that stands for a session id."""
        self._pseudonym = pseudonym
        self._log = structlog.get_logger("privity")

    def emit(self, event: str, **fields: str | float | bool | None) -> None:
        """See ``ports.telemetry.Telemetry.emit``."""
        known = {name: fact for name, fact in fields.items() if fact is not None}
        session_id = known.pop("session_id", None)
        if session_id is not None:
            known["session"] = self._pseudonym(str(session_id))
        self._log.log(_level(event), event, **known)


def _level(event: str) -> int:
    if event in _ERRORS:
        return logging.ERROR
    return logging.WARNING if event in _WARNINGS else logging.INFO
