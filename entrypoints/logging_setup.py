"""How the process logs: structlog for our events, and what libraries say reduced to its kind."""

import logging
import sys

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger


def set_up_logging(level: str) -> None:
    """Log to standard error from ``level`` on: lines for people on a terminal, else JSON."""
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _kind_of_error,
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
    # What failed is told by the command, in one line and in our words.
    logging.getLogger("uvicorn.error").addFilter(_is_not_about_the_start)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(number, logging.WARNING))


def _is_not_about_the_start(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("Application startup failed")


def _renderer() -> Processor:
    if sys.stderr.isatty():
        return structlog.dev.ConsoleRenderer()
    return structlog.processors.JSONRenderer()


def _kind_of_error(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """A library's exception becomes its kind: its text could repeat what was said."""
    raised = event.pop("exc_info", None)
    if isinstance(raised, tuple) and raised[0] is not None:
        event["kind"] = raised[0].__name__
    return event
