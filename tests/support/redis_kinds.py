"""The kinds of servers that the suites run against, and which of them this machine has."""

import atexit
import shutil
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import trustme
from attrs import frozen
from testcontainers.community.redis import RedisContainer
from testcontainers.core.config import testcontainers_config

from adapters.encrypted_redis.connecting import RedisAddress
from tests.support.docker_engine import PYTHON_IMAGE, REDIS_IMAGE, ran, why_no_images
from tests.support.proxies import proxy_to
from tests.support.redis_servers import (
    embedded_binary,
    free_port,
    redis_binary,
    server_of,
)

OpenServer = AbstractAsyncContextManager[RedisAddress]
HOST: Final = "localhost"

# Ryuk would need another image. The container is stopped here when the process exits.
testcontainers_config.ryuk_disabled = True


@frozen(kw_only=True)
class Kind:
    """A kind of server.

    Attributes:
        open: yields its address; all tests of this process share one server.
        missing: why this machine has none; empty if it has one.
    """

    open: Callable[[], OpenServer]
    missing: Callable[[], str] = lambda: ""


@frozen(kw_only=True)
class Certificates:
    """A CA for tests, and the server certificate that it issued for this machine."""

    authority: trustme.CA
    directory: Path

    @property
    def ca_file(self) -> Path:
        return self.directory / "ca.pem"

    @property
    def options(self) -> tuple[str, ...]:
        """Options of a server that does TLS itself."""
        files = {"ca-cert": "ca.pem", "cert": "server.pem", "key": "server.key"}
        options = [
            (f"--tls-{name}-file", str(self.directory / file)) for name, file in files.items()
        ]
        return (*(word for option in options for word in option), "--tls-auth-clients", "no")

    @property
    def context(self) -> ssl.SSLContext:
        """The context of a TLS proxy in front of a server."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.directory / "server.pem", self.directory / "server.key")
        return context


@cache
def certificates() -> Certificates:
    """Issued once per process, because that takes a while."""
    directory = TemporaryDirectory(prefix="privity-certificates-")
    atexit.register(directory.cleanup)
    issued = Certificates(authority=trustme.CA(), directory=Path(directory.name))
    server = issued.authority.issue_cert(HOST)
    issued.authority.cert_pem.write_to_path(str(issued.ca_file))
    server.cert_chain_pems[0].write_to_path(str(issued.directory / "server.pem"))
    server.private_key_pem.write_to_path(str(issued.directory / "server.key"))
    return issued


@asynccontextmanager
async def embedded() -> AsyncIterator[RedisAddress]:
    yield RedisAddress(url=server_of(embedded_binary()).url)


@asynccontextmanager
async def embedded_behind_tls() -> AsyncIterator[RedisAddress]:
    """The embedded Valkey cannot do TLS, so a proxy in front of it does."""
    issued = certificates()
    async with proxy_to(server_of(embedded_binary()).port, issued.context) as proxy:
        yield RedisAddress(url=f"rediss://{HOST}:{proxy.port}/0", ca_file=issued.ca_file)


@asynccontextmanager
async def installed() -> AsyncIterator[RedisAddress]:
    yield RedisAddress(url=server_of(_installed_binary()).url)


@asynccontextmanager
async def installed_with_tls() -> AsyncIterator[RedisAddress]:
    issued, port = certificates(), _tls_port()
    server_of(_installed_binary(), "--tls-port", str(port), *issued.options)
    yield RedisAddress(url=f"rediss://{HOST}:{port}/0", ca_file=issued.ca_file)


@asynccontextmanager
async def contained() -> AsyncIterator[RedisAddress]:
    container = _container()
    host, port = container.get_container_host_ip(), container.get_exposed_port(container.port)
    yield RedisAddress(url=f"redis://{host}:{port}/0")


def _installed_binary() -> str:
    binary = redis_binary()
    assert binary is not None
    return binary


_tls_port = cache(free_port)


@cache
def _container() -> RedisContainer:
    container = RedisContainer(REDIS_IMAGE)
    atexit.register(container.stop)
    return container.start()


def why_no_redis() -> str:
    return "" if redis_binary() else "redis-server is not installed"


@cache
def compose_commands() -> tuple[tuple[str, ...], ...]:
    """The commands of both versions of Compose, as far as they are installed."""
    plugin = ("docker", "compose")
    has_plugin = shutil.which("docker") and not ran(*plugin, "version").returncode
    has_command = shutil.which("docker-compose")
    return (*([("docker-compose",)] if has_command else []), *([plugin] if has_plugin else []))


def why_no_compose() -> str:
    missing_command = "" if compose_commands() else "docker-compose is not installed"
    return missing_command or why_no_images(REDIS_IMAGE, PYTHON_IMAGE)


KINDS: Final[Mapping[str, Kind]] = {
    "valkey": Kind(open=embedded),
    "valkey-tls": Kind(open=embedded_behind_tls),
    "redis": Kind(open=installed, missing=why_no_redis),
    "redis-tls": Kind(open=installed_with_tls, missing=why_no_redis),
    "container": Kind(open=contained, missing=lambda: why_no_images(REDIS_IMAGE)),
}


@cache
def missing() -> Mapping[str, str]:
    """Why each missing kind is missing, by name; ``compose`` is docker-compose.yml."""
    reasons = {name: kind.missing() for name, kind in KINDS.items()}
    reasons["compose"] = why_no_compose()
    return {name: reason for name, reason in reasons.items() if reason}


def available() -> Mapping[str, Callable[[], OpenServer]]:
    return {name: kind.open for name, kind in KINDS.items() if name not in missing()}
