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
_WINDOWS = (
    "privity: Privity runs on Linux and macOS, not on Windows. On Windows, install it in WSL (the "
    "Windows Subsystem for Linux).\n"
)


def run() -> None:
    """Run the command line, with the application's packages before all others of these names."""
    if sys.platform == "win32":
        # The import below would fail: there is no uvloop for Windows.
        sys.stderr.write(_WINDOWS)
        sys.exit(2)
    folder = _IN_WHEEL if _IN_WHEEL.is_dir() else _PACKAGE.parent
    sys.path.insert(0, str(folder))
    from entrypoints.cli.main import run as run_command_line  # noqa: PLC0415 - needs the path

    run_command_line()
