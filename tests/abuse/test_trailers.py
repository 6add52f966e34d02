"""What surrounds the content of a request is limited, and trailers are not headers."""

import json
from typing import Final

import pytest

from tests.support.http_client import send_raw
from tests.support.process_usage import resident_bytes
from tests.support.processes import serving
from tests.support.raw_sockets import everything, flood, status_of, unread

HEAD: Final = (
    b"POST /api/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
GET: Final = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n"
FLOOD_BYTES: Final = 24_000_000
SOCKET_BYTES: Final = 12_000_000
"""What the sockets on both sides can buffer."""
GROWTH_BYTES: Final = 40_000_000


def request(body: bytes, *trailers: bytes) -> bytes:
    lines = b"".join(trailer + b"\r\n" for trailer in trailers)
    return HEAD + b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(body), body, lines)


ENDLESS: Final = {
    "trailers": (HEAD + b"2\r\n{}\r\n0\r\n", b"X-Trailer: of some length\r\n"),
    "one trailer": (HEAD + b"2\r\n{}\r\n0\r\nX-Trailer: ", b"a"),
    "a chunk extension": (HEAD + b"2;x=", b"a"),
    "a chunk size": (HEAD, b"0"),
    "empty lines": (b"", b"\r\n"),
    "headers": (GET, b"a:b\r\n"),
    "one header": (GET + b"X: ", b"a"),
    "a path": (b"GET /", b"a"),
    "a method": (b"", b"A"),
}


@pytest.mark.parametrize("kind", ENDLESS)
async def test_what_never_ends_is_cut_off(kind: str) -> None:
    start, piece = ENDLESS[kind]
    async with serving() as server:
        before = resident_bytes(server.pid)
        sent = await flood(server.url, start, piece, FLOOD_BYTES)
        growth = resident_bytes(server.pid) - before

    assert sent < SOCKET_BYTES
    assert growth < GROWTH_BYTES


async def test_a_trailer_does_not_name_the_address_of_the_client() -> None:
    async with serving(PRIVITY_PROXIES="1", PRIVITY_NEW_PER_HOUR="1") as server:
        statuses = [
            await status_of(server.url, request(b"{}", b"X-Forwarded-For: 192.0.2.%d" % number))
            for number in (1, 2)
        ]

    assert statuses == [201, 429]


async def test_a_trailer_is_no_credential() -> None:
    body = json.dumps({"message": "Hi"}).encode()
    async with serving() as server:
        chunked = request(body, b"Authorization: Bearer none").replace(b"sessions", b"chat", 1)
        status = await status_of(server.url, chunked)

    assert status == 200


async def test_too_many_headers_are_refused_with_a_problem() -> None:
    async with serving() as server:
        async with send_raw(server.url, GET + b"a:b\r\n" * 10_000 + b"\r\n") as live:
            answer = await live.whole()
        status = await status_of(server.url, GET + b"a:b\r\n" * 100 + b"\r\n")

    assert (answer.status, answer.code) == (431, "head_too_large")
    assert status == 200


async def test_the_first_bytes_of_a_head_count() -> None:
    async with (
        serving() as server,
        send_raw(server.url, GET + b"X: " + b"a" * 100_000 + b"\r\n\r\n") as live,
    ):
        answer = await live.whole()

    assert (answer.status, answer.code) == (431, "head_too_large")


async def test_pipelined_requests_that_wait_for_a_running_reply_are_few() -> None:
    body = json.dumps({"message": "Hi"}).encode()
    pipelined = request(body).replace(b"sessions", b"chat", 1) + (GET + b"\r\n") * 4_000
    async with serving() as server:
        before = resident_bytes(server.pid)
        async with unread(server.url, pipelined, connections=10):
            await status_of(server.url, GET + b"\r\n")
            growth = resident_bytes(server.pid) - before

    assert growth < GROWTH_BYTES


async def test_a_few_pipelined_requests_are_all_answered() -> None:
    closing = GET + b"Connection: close\r\n\r\n"
    async with serving() as server:
        answers = await everything(server.url, (GET + b"\r\n") * 8 + closing)

    assert answers.count(b"HTTP/1.1 200 OK\r\n") == 9
