"""A redis-server for one benchmark, on a free loopback port.

The server runs on the last core and the measured client on the first, so that they do not take CPU
from each other. Threads that a client has already started (valkey-glide's) are not bound to a core.
"""
# ruff: noqa: INP001 - imported by scripts

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import trustme
from attrs import frozen

_TIMEOUT = 20


@frozen
class TlsFiles:
    """A certificate for 127.0.0.1 and the authority that signed it."""

    ca: Path
    certificate: Path
    key: Path

    @property
    def options(self) -> tuple[str, ...]:
        """Options of redis-server: TLS with this certificate, no client certificates."""
        files = ("--tls-cert-file", str(self.certificate), "--tls-key-file", str(self.key))
        return (*files, "--tls-ca-cert-file", str(self.ca), "--tls-auth-clients", "no")


def tls_files(directory: Path) -> TlsFiles:
    """New files in ``directory``."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    files = TlsFiles(directory / "ca.pem", directory / "server.pem", directory / "server.key")
    authority.cert_pem.write_to_path(files.ca)
    issued.private_key_pem.write_to_path(files.key)
    for blob in issued.cert_chain_pems:
        blob.write_to_path(files.certificate, append=True)
    return files


@contextmanager
def redis_server(*options: str, tls: bool = False) -> Iterator[int]:
    """A server that writes nothing to disk; yields its port."""
    binary = shutil.which("redis-server")
    assert binary is not None, "redis-server is not installed"
    with TemporaryDirectory(prefix="privity-redis-") as directory:
        port = _free_port()
        listen = ("--port", "0", "--tls-port", str(port)) if tls else ("--port", str(port))
        quiet = ("--save", "", "--appendonly", "no", "--dir", directory, "--bind", "127.0.0.1")
        process = subprocess.Popen(  # noqa: S603 - our own server
            [binary, *listen, *quiet, *options], stdout=subprocess.DEVNULL
        )
        os.sched_setaffinity(process.pid, {_cores()[-1]})
        try:
            _await_listening(port)
            yield port
        finally:
            process.kill()
            process.wait()


def bind_to_first_core() -> None:
    """Bind the calling thread, and all threads that it starts from now on, to the first core."""
    os.sched_setaffinity(0, {_cores()[0]})


def _cores() -> list[int]:
    return sorted(os.sched_getaffinity(os.getppid()))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await_listening(port: int) -> None:
    deadline = time.monotonic() + _TIMEOUT
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise TimeoutError(f"no server on port {port}")
