"""Sets up logging for our events and those of libraries, without the text of any exception."""

import logging
import sys

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger


def set_up_logging(level: str) -> None:
    """Set up logging to standard error; our own events are logged from ``level`` up.

    Events of libraries are logged from warning up, or from ``level`` up if that is higher. On a
    terminal the format is readable lines, otherwise JSON.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_exception_text,
    ]
    structlog.configure(
        processors=[*shared, _renderer()],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer()],
        )
    )
    # The command itself reports a failed start, in one line.
    logging.getLogger("uvicorn.error").addFilter(_is_not_failed_start)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(number, logging.WARNING))


def _is_not_failed_start(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("Application startup failed")


def _renderer() -> Processor:
    if sys.stderr.isatty():
        return structlog.dev.ConsoleRenderer()
    return structlog.processors.JSONRenderer()


def _without_exception_text(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replaces an exception with the name of its class: its text could contain message text."""
    exc_info = event.pop("exc_info", None)
    if isinstance(exc_info, tuple) and exc_info[0] is not None:
        event["kind"] = exc_info[0].__name__
    return event
