"""Requests that one client begins and does not finish fill no memory, and leave room for others."""

import asyncio
from contextlib import AsyncExitStack
from typing import Final
from urllib.parse import urlsplit

from tests.support.process_usage import resident_bytes
from tests.support.processes import serving
from tests.support.raw_sockets import answer_so_far, everything, first_bytes, unread

BODY_BYTES: Final = 1_900_000
GROWTH_BYTES: Final = 80_000_000
HEAD: Final = (
    b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 2000000\r\n\r\n"
)
CLOSING: Final = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
OTHER_ADDRESS: Final = "127.0.0.2"
LONG_HEADERS: Final = b"".join(b"X-%d: %b\r\n" % (number, b"a" * 480) for number in range(120))
SMALL_BODY_BYTES: Final = 60_000


async def test_large_bodies_that_never_end_fill_no_memory() -> None:
    begin = b'{"messages": [], "id": "' + b"a" * BODY_BYTES
    async with serving() as server:
        before = resident_bytes(server.pid)
        async with unread(server.url, HEAD + begin, connections=100) as connections:
            # While this is answered, the service reads what the others have sent.
            for _ in range(50):
                await everything(server.url, CLOSING, OTHER_ADDRESS)
            growth = resident_bytes(server.pid) - before
            await first_bytes(connections[-1])
            # The first bodies were accepted, and may have been refused as too slow meanwhile.
            answers = [answer_so_far(connection) for connection in connections]

    assert growth < GROWTH_BYTES
    refusals = [answer for answer in answers if answer.startswith(b"HTTP/1.1 429 ")]
    assert refusals
    assert all(b'"code":"transfers_unfinished"' in refusal for refusal in refusals)


async def test_long_heads_and_small_bodies_that_never_end_fill_little_memory() -> None:
    begin = HEAD[:-2] + LONG_HEADERS + b"\r\n" + b" " * SMALL_BODY_BYTES
    async with serving() as server:
        before = resident_bytes(server.pid)
        async with unread(server.url, begin, connections=500):
            await everything(server.url, CLOSING, OTHER_ADDRESS)
            growth = resident_bytes(server.pid) - before

    # 2,048 such connections stay below 300 MB.
    assert growth < GROWTH_BYTES


async def test_one_address_does_not_use_up_the_connections() -> None:
    async with (
        serving(PRIVITY_MAX_CONNECTIONS="100") as server,
        unread(server.url, CLOSING[:-2], connections=99),
    ):
        refused = await everything(server.url, CLOSING)
        other = [await everything(server.url, CLOSING, OTHER_ADDRESS) for _ in range(3)]

    assert other[0].startswith(b"HTTP/1.1 200 ")
    assert b'"code":"too_many_requests"' in refused


async def test_idle_connections_of_two_addresses_make_room_for_a_third() -> None:
    async with serving(PRIVITY_MAX_CONNECTIONS="40") as server, AsyncExitStack() as held:
        address = urlsplit(server.url)
        for number in range(40):
            own = (f"127.0.0.{3 + number % 2}", 0)
            _, writer = await asyncio.open_connection(
                address.hostname, address.port, local_addr=own
            )
            held.callback(writer.close)
        welcome = [await everything(server.url, CLOSING, OTHER_ADDRESS) for _ in range(3)]

    assert [answer[:12] for answer in welcome] == [b"HTTP/1.1 200"] * 3
