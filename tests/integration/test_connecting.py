"""Connecting with TLS: whose certificates are trusted, and what we present."""

import ssl
from pathlib import Path

import pytest
import trustme

from adapters.encrypted_redis.connecting import RedisAddress
from tests.support.proxies import proxy_to
from tests.support.redis_connections import answers, connect_error
from tests.support.redis_servers import RedisProcess


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return file


def server_side(
    authority: trustme.CA, name: str, *, requires_client: bool = False
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    if requires_client:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
async def test_a_certificate_for_this_host_is_accepted(
    shared_server: RedisProcess, authority: trustme.CA, ca_file: Path, name: str
) -> None:
    async with proxy_to(shared_server.port, server_side(authority, name)) as proxy:
        assert await answers(RedisAddress(url=f"rediss://{name}:{proxy.port}/0", ca_file=ca_file))


async def test_a_certificate_for_another_host_is_refused(
    shared_server: RedisProcess, authority: trustme.CA, ca_file: Path
) -> None:
    async with proxy_to(shared_server.port, server_side(authority, "elsewhere.example")) as proxy:
        address = RedisAddress(url=f"rediss://localhost:{proxy.port}/0", ca_file=ca_file)

        assert "is for another host name" in await connect_error(address)


async def test_a_certificate_of_an_unknown_authority_is_refused(
    shared_server: RedisProcess, authority: trustme.CA
) -> None:
    async with proxy_to(shared_server.port, server_side(authority, "localhost")) as proxy:
        assert "is not trusted" in await connect_error(
            RedisAddress(url=f"rediss://localhost:{proxy.port}/0")
        )


@pytest.mark.parametrize(
    ("name", "is_trusted", "cause"),
    [("localhost", False, "is not trusted"), ("other.example", True, "is for another host name")],
)
async def test_no_option_of_the_url_switches_certificate_checks_off(
    shared_server: RedisProcess,
    authority: trustme.CA,
    ca_file: Path,
    name: str,
    cause: str,
    *,
    is_trusted: bool,
) -> None:
    async with proxy_to(shared_server.port, server_side(authority, name)) as proxy:
        options = "ssl_cert_reqs=none&ssl_check_hostname=false"
        url = f"rediss://localhost:{proxy.port}/0?{options}"
        address = RedisAddress(url=url, ca_file=ca_file if is_trusted else None)

        assert cause in await connect_error(address)


async def test_a_client_certificate_is_presented_where_the_server_requires_one(
    shared_server: RedisProcess, authority: trustme.CA, ca_file: Path, tmp_path: Path
) -> None:
    client = authority.issue_cert("privity")
    client.cert_chain_pems[0].write_to_path(str(tmp_path / "client.pem"))
    client.private_key_pem.write_to_path(str(tmp_path / "client.key"))
    requiring = server_side(authority, "localhost", requires_client=True)
    async with proxy_to(shared_server.port, requiring) as proxy:
        url = f"rediss://localhost:{proxy.port}/0"

        assert await answers(
            RedisAddress(
                url=url,
                ca_file=ca_file,
                client_cert=tmp_path / "client.pem",
                client_key=tmp_path / "client.key",
            )
        )
        assert "requires a client certificate, or does not accept ours" in await connect_error(
            RedisAddress(url=url, ca_file=ca_file)
        )
