"""``privity`` in a pseudo-terminal, as a person uses it."""

import asyncio
import os
import pty
import re
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from tests.support.processes import ROOT, RUN, environment_of_processes

CTRL_C: Final = b"\x03"
CTRL_D: Final = b"\x04"
UP: Final = b"\x1b[A"
LEFT: Final = b"\x1b[D"
BACKSPACE: Final = b"\x7f"
ENTER: Final = b"\r"
_CONTROL_SEQUENCE: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_TIMEOUT_SECONDS: Final = 30


class PseudoTerminal:
    """A program in a terminal.

    Attributes:
        shown: everything that the program has written, without control sequences.
    """

    def __init__(self, descriptor: int, process: Process) -> None:
        self._descriptor = descriptor
        self._process = process
        self._written = bytearray()
        self._read = 0
        self._changed = asyncio.Event()
        asyncio.get_running_loop().add_reader(descriptor, self._on_output)

    def _on_output(self) -> None:
        data = b""
        with suppress(OSError):  # Linux reports the end of the program as an error.
            data = os.read(self._descriptor, 65_536)
        self._written += data
        self._changed.set()
        if not data:
            asyncio.get_running_loop().remove_reader(self._descriptor)

    @property
    def shown(self) -> str:
        return _CONTROL_SEQUENCE.sub("", self._written.decode(errors="replace"))

    def press(self, *keys: bytes) -> None:
        os.write(self._descriptor, b"".join(keys))

    async def read_until(self, text: str) -> str:
        """Wait for ``text``; returns what has been shown since the last call, up to its end."""
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            while (found := self.shown.find(text, self._read)) < 0:
                self._changed.clear()
                await self._changed.wait()
        start, self._read = self._read, found + len(text)
        return self.shown[start : self._read]

    async def wait(self) -> int:
        """The exit status of the program."""
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            return await self._process.wait()


@asynccontextmanager
async def in_a_terminal(*arguments: str, **settings: str) -> AsyncIterator[PseudoTerminal]:
    """``privity`` with these arguments in a terminal of its own."""
    outer, inner = pty.openpty()
    # The program does not have to wait for answers about the position of the cursor.
    terminal = {"TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", "LC_ALL": "C.UTF-8"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _WITH_TERMINAL + RUN, *arguments),
        stdin=inner,
        stdout=inner,
        stderr=inner,
        start_new_session=True,
        cwd=ROOT,
        env={**environment_of_processes(), **terminal, **settings},
    )
    os.close(inner)
    try:
        yield PseudoTerminal(outer, process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        asyncio.get_running_loop().remove_reader(outer)
        os.close(outer)


# Without a controlling terminal, Ctrl-C sends no signal.
_WITH_TERMINAL: Final = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
