"""Requests that one client begins and does not finish fill no memory, and leave room for others."""

from typing import Final

from tests.support.process_usage import resident_bytes
from tests.support.processes import RUN, serving
from tests.support.raw_sockets import everything, first_bytes, unread

BODY_BYTES: Final = 1_900_000
GROWTH_BYTES: Final = 80_000_000
HEAD: Final = (
    b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 2000000\r\n\r\n"
)
CLOSING: Final = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
OTHER_ADDRESS: Final = "127.0.0.2"
FEW_CONNECTIONS: Final = f"""
from entrypoints.http import server
if hasattr(server, "BoundedConnection"):
    from importlib import import_module
    module = import_module(server.BoundedConnection.__module__)
    module.ADDRESS_MAX_CONNECTIONS = 50
{RUN}
"""


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
            refusal = connections[-1].recv(65_536)

    assert growth < GROWTH_BYTES
    assert refusal.startswith(b"HTTP/1.1 429 ")
    assert b'"code":"transfers_unfinished"' in refusal


async def test_one_address_does_not_use_up_the_connections() -> None:
    async with (
        serving(FEW_CONNECTIONS, PRIVITY_MAX_CONNECTIONS="100") as server,
        unread(server.url, CLOSING[:-2], connections=99),
    ):
        refused = await everything(server.url, CLOSING)
        other = [await everything(server.url, CLOSING, OTHER_ADDRESS) for _ in range(3)]

    assert other[0].startswith(b"HTTP/1.1 200 ")
    assert b'"code":"too_many_requests"' in refused
