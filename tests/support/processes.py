"""The ``privity`` command as a process of its own."""

import asyncio
import os
import sys
from asyncio import StreamReader
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from attrs import frozen
from typer.testing import CliRunner

from entrypoints.cli.main import app

_ROOT = Path(__file__).parents[2]
_RUN = "from entrypoints.cli.main import run; run()"
_OURS = ("PRIVITY_", "MODEL_", "REDIS_", "ASSISTANT_")
_PATIENCE = 30


@frozen(kw_only=True)
class Ended:
    """What a process left behind."""

    code: int
    out: str
    err: str


class ServerProcess:
    """A server that listens."""

    def __init__(self, process: Process, url: str, first_line: bytes) -> None:
        self.url = url
        self._process = process
        self._first_line = first_line
        # Read all the time: a full pipe would stop the server.
        self._out = asyncio.create_task(_reader(process.stdout).read())
        self._err = asyncio.create_task(_reader(process.stderr).read())

    def terminate(self) -> None:
        """As a deploy does it."""
        self._process.terminate()

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        """Unless it has ended by itself."""
        if self._process.returncode is None:
            self._process.kill()

    async def ended(self) -> Ended:
        """Its end, which must not take long."""
        async with asyncio.timeout(_PATIENCE):
            out, err, code = await asyncio.gather(self._out, self._err, self._process.wait())
        return Ended(code=code, out=(self._first_line + out).decode(), err=err.decode())


@asynccontextmanager
async def serving(
    program: str = _RUN, port: str = "0", **settings: str
) -> AsyncIterator[ServerProcess]:
    """``privity serve`` on this port, or a free one; ``program`` is run by Python instead of it."""
    process = await _started("serve", "--port", port, settings=settings, program=program)
    async with asyncio.timeout(_PATIENCE):
        line = await _reader(process.stdout).readline()
    server = ServerProcess(process, line.decode().strip().rpartition(" ")[2], line)
    try:
        yield server
    finally:
        server.kill()
        await server.ended()


@asynccontextmanager
async def starting(**settings: str) -> AsyncIterator[ServerProcess]:
    """``privity serve`` that may never come to listen."""
    server = ServerProcess(await _started("serve", "--port", "0", settings=settings), "", b"")
    try:
        yield server
    finally:
        server.kill()
        await server.ended()


async def ran(*arguments: str, said: str = "", **settings: str) -> Ended:
    """``privity`` with these arguments, told this on its standard input."""
    process = await _started(*arguments, settings=settings)
    async with asyncio.timeout(_PATIENCE):
        out, err = await process.communicate(said.encode())
    assert process.returncode is not None
    return Ended(code=process.returncode, out=out.decode(), err=err.decode())


async def _started(*arguments: str, settings: Mapping[str, str], program: str = _RUN) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, *arguments),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        cwd=_ROOT,
        env={**_environment(), **settings},
    )


def ran_here(*arguments: str, said: str = "", **settings: str) -> Ended:
    """The same in this process, which is faster; for commands that do not serve."""
    with pytest.MonkeyPatch.context() as patch:
        for name in set(os.environ) - set(_environment()):
            patch.delenv(name)
        result = CliRunner().invoke(app, arguments, input=said, env={"COLUMNS": "100", **settings})
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return Ended(code=result.exit_code, out=result.stdout, err=result.stderr)


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return {**kept, "COLUMNS": "100"}


def _reader(stream: StreamReader | None) -> StreamReader:
    assert stream is not None
    return stream
