"""The service answers only under its own names, so that no other site can pretend to be it."""

import pytest

from tests.support.http_client import send_raw
from tests.support.native_client import NativeClient
from tests.support.processes import serving

OWN = ["localhost", "LOCALHOST:80", "chat.localhost", "127.0.0.1:1", "192.0.2.7", "[::1]:8000"]
FOREIGN = ["evil.example", "evil.example:80", "localhost.evil.example", "2130706433", "0x7f.1", ""]
MALFORMED = ["[::1", "::1", "localhost@evil.example", "localhost/", "a b", "\xff", "[localhost]"]


async def test_a_host_name_that_leads_here_from_elsewhere_is_refused() -> None:
    async with serving() as server:
        client = NativeClient(server.url)
        own = {host: (await client.get("/", host=host)).status for host in OWN}
        answers = [await client.get("/", host=host) for host in FOREIGN + MALFORMED]
        created = await client.post("/api/sessions", {}, host="evil.example")
        v1 = await client.get("/v1/models", host="evil.example")

    assert own == dict.fromkeys(OWN, 200)
    assert {(answer.status, answer.code) for answer in answers} == {(421, "host_unknown")}
    assert not any("set-cookie" in answer.headers for answer in answers)
    assert (created.status, created.code) == (421, "host_unknown")
    assert v1.status == 421
    assert v1.document["error"]["code"] == "host_unknown"
    assert not any(b"evil" in answer.body for answer in [*answers, created, v1])


async def test_the_public_host_and_listed_ones_are_accepted() -> None:
    settings = {"PRIVITY_PUBLIC_URL": "https://Chat.example:8443", "PRIVITY_HOSTS": "privity, a.b."}
    async with serving(**settings) as server:
        client = NativeClient(server.url)
        hosts = ["chat.example", "CHAT.example:443", "chat.example.", "privity:8000", "a.b"]
        own = {host: (await client.get("/", host=host)).status for host in hosts}
        foreign = await client.get("/", host="b")

    assert own == dict.fromkeys(hosts, 200)
    assert foreign.code == "host_unknown"


async def test_an_embedding_site_is_no_host_of_this_service() -> None:
    settings = {
        "PRIVITY_PUBLIC_URL": "https://chat.example",
        "PRIVITY_EMBEDDING_ORIGINS": "https://www.example",
    }
    async with serving(**settings) as server:
        answer = await NativeClient(server.url).get("/", host="www.example")

    assert answer.code == "host_unknown"


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
async def test_health_is_answered_under_any_name(path: str) -> None:
    async with serving() as server:
        answer = await NativeClient(server.url).get(path, host="evil.example")
        without = send_raw(server.url, b"GET %b HTTP/1.0\r\n\r\n" % path.encode())
        async with without as live:
            nameless = await live.whole()

    assert (answer.status, nameless.status) == (200, 200)


async def test_two_hosts_are_as_bad_as_none() -> None:
    async with (
        serving() as server,
        send_raw(
            server.url, b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"
        ) as live,
    ):
        answer = await live.whole()

    assert answer.code == "host_unknown"
