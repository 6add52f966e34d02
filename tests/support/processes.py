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

# Tests of one tree can be run against the service of another, for example of an older release.
ROOT = Path(os.environ.get("PRIVITY_TEST_TREE") or Path(__file__).parents[2])
RUN = "from entrypoints.cli.main import run; run()"
_SETTING_PREFIXES = ("PRIVITY_", "MODEL_", "REDIS_", "ASSISTANT_")
_TIMEOUT_SECONDS = 30


@frozen(kw_only=True)
class Ended:
    """Exit code and output of a process that has ended."""

    code: int
    out: str
    err: str


class ServerProcess:
    """A running ``privity serve``."""

    def __init__(self, process: Process, url: str, first_line: bytes) -> None:
        self.url = url
        self._process = process
        self._first_line = first_line
        # Read continuously: a full pipe would block the server.
        self._out = asyncio.create_task(_reader(process.stdout).read())
        self._err = asyncio.create_task(_reader(process.stderr).read())

    def terminate(self) -> None:
        """Send SIGTERM, as a deployment does."""
        self._process.terminate()

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        """Kill the process unless it has already ended."""
        if self._process.returncode is None:
            self._process.kill()

    async def wait(self) -> Ended:
        """Wait for the process to end; returns its exit code and output."""
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            out, err, code = await asyncio.gather(self._out, self._err, self._process.wait())
        return Ended(code=code, out=(self._first_line + out).decode(), err=err.decode())


@asynccontextmanager
async def serving(
    program: str = RUN, port: str = "0", **settings: str
) -> AsyncIterator[ServerProcess]:
    """``privity serve`` on this port or a free one; ``program`` is Python code to run instead."""
    process = await start("serve", "--port", port, settings=settings, program=program)
    async with asyncio.timeout(_TIMEOUT_SECONDS):
        line = await _reader(process.stdout).readline()
    server = ServerProcess(process, line.decode().strip().rpartition(" ")[2], line)
    try:
        yield server
    finally:
        server.kill()
        await server.wait()


@asynccontextmanager
async def starting(**settings: str) -> AsyncIterator[ServerProcess]:
    """``privity serve`` that may never start to listen."""
    server = ServerProcess(await start("serve", "--port", "0", settings=settings), "", b"")
    try:
        yield server
    finally:
        server.kill()
        await server.wait()


async def run_cli(*arguments: str, stdin: str = "", program: str = RUN, **settings: str) -> Ended:
    """Run ``privity`` with these arguments and this standard input; ``program`` as in serving."""
    process = await start(*arguments, settings=settings, program=program)
    async with asyncio.timeout(_TIMEOUT_SECONDS):
        out, err = await process.communicate(stdin.encode())
    assert process.returncode is not None
    return Ended(code=process.returncode, out=out.decode(), err=err.decode())


async def start(*arguments: str, settings: Mapping[str, str], program: str = RUN) -> Process:
    """``privity`` with these arguments, with pipes."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, *arguments),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        cwd=ROOT,
        env={**environment_of_processes(), **settings},
    )


def run_cli_in_process(*arguments: str, stdin: str = "", **settings: str) -> Ended:
    """The same in this process, which is faster; for commands that do not serve."""
    with pytest.MonkeyPatch.context() as patch:
        for name in set(os.environ) - set(environment_of_processes()):
            patch.delenv(name)
        result = CliRunner().invoke(app, arguments, input=stdin, env={"COLUMNS": "100", **settings})
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return Ended(code=result.exit_code, out=result.stdout, err=result.stderr)


def environment_of_processes() -> dict[str, str]:
    """The environment of this process without our settings."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(_SETTING_PREFIXES)
    }
    # A test that counts requests to the model's server expects only those of its own.
    return {**inherited, "COLUMNS": "100", "MODEL_CHECK": "false"}


def _reader(stream: StreamReader | None) -> StreamReader:
    assert stream is not None
    return stream
