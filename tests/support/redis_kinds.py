"""The kinds of servers the suites run over, and which of them this machine has."""

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

Opened = AbstractAsyncContextManager[RedisAddress]
HOST: Final = "localhost"

# Ryuk would be one more image to have; what is started here is ended here.
testcontainers_config.ryuk_disabled = True


@frozen(kw_only=True)
class Kind:
    """A kind of server.

    Attributes:
        opened: where it is; one server for all tests of this process.
        missing: why this machine has none; empty when it has one.
    """

    opened: Callable[[], Opened]
    missing: Callable[[], str] = lambda: ""


@frozen(kw_only=True)
class Certificates:
    """An authority of our own, and what it gave the server on this machine."""

    authority: trustme.CA
    directory: Path

    @property
    def ca_file(self) -> Path:
        return self.directory / "ca.pem"

    @property
    def options(self) -> tuple[str, ...]:
        """For a server that speaks TLS itself."""
        files = {"ca-cert": "ca.pem", "cert": "server.pem", "key": "server.key"}
        named = ((f"--tls-{what}-file", str(self.directory / at)) for what, at in files.items())
        return (*(word for pair in named for word in pair), "--tls-auth-clients", "no")

    @property
    def context(self) -> ssl.SSLContext:
        """For what stands before a server that does not."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.directory / "server.pem", self.directory / "server.key")
        return context


@cache
def certificates() -> Certificates:
    """Once for all tests of this process, since making them takes a while."""
    opened = TemporaryDirectory(prefix="privity-certificates-")
    atexit.register(opened.cleanup)
    made = Certificates(authority=trustme.CA(), directory=Path(opened.name))
    ours = made.authority.issue_cert(HOST)
    made.authority.cert_pem.write_to_path(str(made.ca_file))
    ours.cert_chain_pems[0].write_to_path(str(made.directory / "server.pem"))
    ours.private_key_pem.write_to_path(str(made.directory / "server.key"))
    return made


@asynccontextmanager
async def embedded() -> AsyncIterator[RedisAddress]:
    yield RedisAddress(url=server_of(embedded_binary()).url)


@asynccontextmanager
async def embedded_behind_tls() -> AsyncIterator[RedisAddress]:
    """The embedded Valkey cannot do TLS, so something before it does."""
    made = certificates()
    async with proxy_to(server_of(embedded_binary()).port, made.context) as proxy:
        yield RedisAddress(url=f"rediss://{HOST}:{proxy.port}/0", ca_file=made.ca_file)


@asynccontextmanager
async def installed() -> AsyncIterator[RedisAddress]:
    yield RedisAddress(url=server_of(_installed_binary()).url)


@asynccontextmanager
async def installed_with_tls() -> AsyncIterator[RedisAddress]:
    made, port = certificates(), _port_of_tls()
    server_of(_installed_binary(), "--tls-port", str(port), *made.options)
    yield RedisAddress(url=f"rediss://{HOST}:{port}/0", ca_file=made.ca_file)


@asynccontextmanager
async def contained() -> AsyncIterator[RedisAddress]:
    container = _container()
    host, port = container.get_container_host_ip(), container.get_exposed_port(container.port)
    yield RedisAddress(url=f"redis://{host}:{port}/0")


def _installed_binary() -> str:
    found = redis_binary()
    assert found is not None
    return found


_port_of_tls = cache(free_port)


@cache
def _container() -> RedisContainer:
    container = RedisContainer(REDIS_IMAGE)
    atexit.register(container.stop)
    return container.start()


def why_no_redis() -> str:
    return "" if redis_binary() else "redis-server is not installed"


@cache
def compose_command() -> tuple[str, ...]:
    """Either of the two that there are; empty when there is none."""
    if shutil.which("docker-compose"):
        return ("docker-compose",)
    plugin = ("docker", "compose")
    return plugin if shutil.which("docker") and not ran(*plugin, "version").returncode else ()


def why_no_compose() -> str:
    absent = "" if compose_command() else "docker-compose is not installed"
    return absent or why_no_images(REDIS_IMAGE, PYTHON_IMAGE)


KINDS: Final[Mapping[str, Kind]] = {
    "valkey": Kind(opened=embedded),
    "valkey-tls": Kind(opened=embedded_behind_tls),
    "redis": Kind(opened=installed, missing=why_no_redis),
    "redis-tls": Kind(opened=installed_with_tls, missing=why_no_redis),
    "container": Kind(opened=contained, missing=lambda: why_no_images(REDIS_IMAGE)),
}


@cache
def missing() -> Mapping[str, str]:
    """What this machine lacks, and why; the services of docker-compose.yml count as one."""
    asked = {name: kind.missing() for name, kind in KINDS.items()} | {"compose": why_no_compose()}
    return {name: why for name, why in asked.items() if why}


def at_hand() -> Mapping[str, Callable[[], Opened]]:
    return {name: kind.opened for name, kind in KINDS.items() if name not in missing()}
