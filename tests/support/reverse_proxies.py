"""nginx and Caddy with the files in ``deploy/``, in front of a service of the tests."""

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Final
from urllib.parse import urlsplit

import trustme
from attrs import frozen

from tests.support.redis_servers import free_port

HOST: Final = "chat.example.org"
_DEPLOY: Final = Path(__file__).parents[2] / "deploy"
_START_SECONDS: Final = 30
_SYSTEM_PATHS: Final = "/usr/sbin:/usr/bin"


@frozen(kw_only=True)
class ReverseProxy:
    """A proxy that terminates TLS for ``HOST``.

    Attributes:
        https_port: where it answers for the service.
        http_port: where it redirects to https.
        authority: the CA of its certificate.
    """

    https_port: int
    http_port: int
    authority: trustme.CA


PROGRAMS: Final = ("nginx", "caddy", "systemd-analyze")
"""The programs with which the files in ``deploy/`` are tried."""


def why_no(program: str) -> str:
    """Why this machine cannot run the program; empty if it can."""
    return "" if _path_of(program) else f"{program} is not installed"


def missing_programs() -> Mapping[str, str]:
    """Why each missing program is missing, by name."""
    return {program: why for program in PROGRAMS if (why := why_no(program))}


@contextmanager
def nginx(service_url: str) -> Iterator[ReverseProxy]:
    """nginx with ``deploy/nginx/privity.conf``."""
    with _Files() as files:
        text = (_DEPLOY / "nginx" / "privity.conf").read_text("utf-8")
        text = re.sub(r"^ +listen \[::\].*\n", "", text, flags=re.MULTILINE)
        own = _replaced(
            text,
            {
                "listen 80;": f"listen 127.0.0.1:{files.http_port};",
                "listen 443 ssl http2;": f"listen 127.0.0.1:{files.https_port} ssl http2;",
                "server 127.0.0.1:8000;": f"server {urlsplit(service_url).netloc};",
                "/etc/letsencrypt/live/chat.example.org/fullchain.pem": str(files.chain),
                "/etc/letsencrypt/live/chat.example.org/privkey.pem": str(files.key),
                "/var/log/nginx/privity.log": str(files.directory / "privity.log"),
            },
        )
        places = "".join(
            f"    {kind}_temp_path {files.directory / kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        main = files.directory / "nginx.conf"
        main.write_text(
            "daemon off;\nmaster_process off;\nworker_processes 1;\n"
            f"pid {files.directory / 'nginx.pid'};\nevents {{}}\nhttp {{\n{places}{own}}}\n"
        )
        log = str(files.directory / "error.log")
        with _running(files.https_port, "nginx", "-e", log, "-p", str(files.directory), "-c", main):
            yield files.proxy


@contextmanager
def caddy(service_url: str) -> Iterator[ReverseProxy]:
    """Caddy with ``deploy/caddy/Caddyfile``, and a certificate of the tests."""
    with _Files() as files:
        text = (_DEPLOY / "caddy" / "Caddyfile").read_text("utf-8")
        own = _replaced(
            text,
            {
                "chat.example.org {": f"chat.example.org {{\n\ttls {files.chain} {files.key}",
                "127.0.0.1:8000 {": f"{urlsplit(service_url).netloc} {{",
            },
        )
        ports = f"https_port {files.https_port}\n\thttp_port {files.http_port}"
        main = files.directory / "Caddyfile"
        main.write_text(f"{{\n\tadmin off\n\t{ports}\n}}\n{own}")
        with _running(files.https_port, "caddy", "run", "--adapter", "caddyfile", "--config", main):
            yield files.proxy


class _Files:
    """A directory with a certificate, and two free ports."""

    def __enter__(self) -> "_Files":
        self._temporary = TemporaryDirectory(prefix="privity-proxy-")
        self.directory = Path(self._temporary.name)
        authority = trustme.CA()
        issued = authority.issue_cert(HOST)
        self.chain, self.key = self.directory / "chain.pem", self.directory / "key.pem"
        self.chain.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(str(self.key))
        self.https_port, self.http_port = free_port(), free_port()
        self.proxy = ReverseProxy(
            https_port=self.https_port, http_port=self.http_port, authority=authority
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._temporary.cleanup()


def _replaced(text: str, replacements: Mapping[str, str]) -> str:
    """``text`` with each of these replaced; each must occur."""
    for old, new in replacements.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def _path_of(program: str) -> str | None:
    return shutil.which(program) or shutil.which(program, path=_SYSTEM_PATHS)


@contextmanager
def _running(port: int, program: str, *arguments: str | Path) -> Iterator[None]:
    path = _path_of(program)
    assert path is not None
    with TemporaryDirectory(prefix="privity-home-") as home:
        process = subprocess.Popen(  # noqa: S603 - the installed proxy
            [path, *map(str, arguments)],
            env={"HOME": home, "XDG_DATA_HOME": home, "XDG_CONFIG_HOME": home},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            _wait_for(port, process)
            yield
        finally:
            process.terminate()
            process.communicate(timeout=_START_SECONDS)


def _wait_for(port: int, process: subprocess.Popen[str]) -> None:
    deadline = monotonic() + _START_SECONDS
    while monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            sleep(0.02)
        else:
            return
    process.terminate()
    raise AssertionError(f"the proxy did not start: {process.communicate()[1]}")
