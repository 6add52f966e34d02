"""Ways to reach Redis: TLS and whom to trust, passwords and users, sockets, databases, patience."""

import ssl
from pathlib import Path

import pytest
import trustme

from adapters.encrypted_redis.connecting import RedisAddress
from tests.support.proxies import proxy_to
from tests.support.redis_connections import answers, refusal
from tests.support.redis_servers import (
    RedisProcess,
)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return file


def server_side(authority: trustme.CA, name: str, *, asks: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    if asks:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
async def test_tls_with_a_certificate_for_this_host(
    shared_server: RedisProcess, authority: trustme.CA, ca_file: Path, name: str
) -> None:
    async with proxy_to(shared_server.port, server_side(authority, name)) as proxy:
        assert await answers(RedisAddress(url=f"rediss://{name}:{proxy.port}/0", ca_file=ca_file))


async def test_a_certificate_for_another_host_is_refused(
    shared_server: RedisProcess, authority: trustme.CA, ca_file: Path
) -> None:
    async with proxy_to(shared_server.port, server_side(authority, "elsewhere.example")) as proxy:
        place = RedisAddress(url=f"rediss://localhost:{proxy.port}/0", ca_file=ca_file)

        assert "does not answer" in await refusal(place)


async def test_a_certificate_of_an_unknown_authority_is_refused(
    shared_server: RedisProcess, authority: trustme.CA
) -> None:
    async with proxy_to(shared_server.port, server_side(authority, "localhost")) as proxy:
        assert "does not answer" in await refusal(
            RedisAddress(url=f"rediss://localhost:{proxy.port}/0")
        )


async def test_a_client_certificate_is_shown_where_one_is_asked_for(
    shared_server: RedisProcess, authority: trustme.CA, ca_file: Path, tmp_path: Path
) -> None:
    ours = authority.issue_cert("privity")
    ours.cert_chain_pems[0].write_to_path(str(tmp_path / "client.pem"))
    ours.private_key_pem.write_to_path(str(tmp_path / "client.key"))
    asking = server_side(authority, "localhost", asks=True)
    async with proxy_to(shared_server.port, asking) as proxy:
        url = f"rediss://localhost:{proxy.port}/0"

        assert await answers(
            RedisAddress(
                url=url,
                ca_file=ca_file,
                client_cert=tmp_path / "client.pem",
                client_key=tmp_path / "client.key",
            )
        )
        assert "does not answer" in await refusal(RedisAddress(url=url, ca_file=ca_file))
