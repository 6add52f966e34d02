"""A redis-server of our own for one benchmark, on a free port of the loopback.

It has the machine's last core to itself, the measured client the first: left to the scheduler they
push each other aside. Threads that a client made before (valkey-glide's) run where they like.
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

_PATIENCE = 20


@frozen
class TlsFiles:
    """A certificate for 127.0.0.1 and the authority that signed it."""

    ca: Path
    certificate: Path
    key: Path

    @property
    def options(self) -> tuple[str, ...]:
        """What makes redis-server speak TLS with it and ask clients for none."""
        files = ("--tls-cert-file", str(self.certificate), "--tls-key-file", str(self.key))
        return (*files, "--tls-ca-cert-file", str(self.ca), "--tls-auth-clients", "no")


def tls_files(directory: Path) -> TlsFiles:
    """New ones, in this directory."""
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
    """Its port; it writes nothing to disk."""
    binary = shutil.which("redis-server")
    assert binary is not None, "redis-server is not installed"
    with TemporaryDirectory(prefix="privity-redis-") as directory:
        port = _free_port()
        listen = ("--port", "0", "--tls-port", str(port)) if tls else ("--port", str(port))
        quiet = ("--save", "", "--appendonly", "no", "--dir", directory, "--bind", "127.0.0.1")
        process = subprocess.Popen(  # noqa: S603 - a server of our own
            [binary, *listen, *quiet, *options], stdout=subprocess.DEVNULL
        )
        os.sched_setaffinity(process.pid, {_cores()[-1]})
        try:
            _await_listening(port)
            yield port
        finally:
            process.kill()
            process.wait()


def to_the_first_core() -> None:
    """Bind the calling thread, and all that it makes from now on."""
    os.sched_setaffinity(0, {_cores()[0]})


def _cores() -> list[int]:
    return sorted(os.sched_getaffinity(os.getppid()))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await_listening(port: int) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise TimeoutError(f"no server on port {port}")
