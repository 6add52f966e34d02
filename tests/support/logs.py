"""The logging of the whole process, which a test may set up for itself only."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from entrypoints.logging_setup import set_up_logging


@contextmanager
def logging_at(level: str) -> Iterator[None]:
    """While it is open, events are logged to standard error as the service does from ``level`` up.

    Otherwise the services of later tests would log to a stream that pytest has closed.
    """
    root, server = logging.getLogger(), logging.getLogger("uvicorn.error")
    handlers, root_level, filters = root.handlers[:], root.level, server.filters[:]
    set_up_logging(level)
    try:
        yield
    finally:
        structlog.reset_defaults()
        root.handlers[:] = handlers
        root.setLevel(root_level)
        server.filters[:] = filters
