"""Starts the ``privity`` command. The application itself is in the four packages beside this one.

In the source tree they lie in the folder that contains this package. In a wheel they lie in the
folder ``application`` of this package: their names (``domain``, ``ports``, ``adapters``,
``entrypoints``) are too common for the top level of an environment, where another distribution may
own them.
"""

import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_IN_WHEEL = _PACKAGE / "application"


def run() -> None:
    """Run the command line, with the application's packages before all others of these names."""
    folder = _IN_WHEEL if _IN_WHEEL.is_dir() else _PACKAGE.parent
    sys.path.insert(0, str(folder))
    from entrypoints.cli.main import run as run_command_line  # noqa: PLC0415 - needs the path

    run_command_line()
