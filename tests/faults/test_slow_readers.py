"""A client that reads a byte now and then holds up nobody, and in the end has read everything."""

import asyncio
import json
import socket
from urllib.parse import urlsplit

from redis.asyncio import Redis

from tests.support.event_stream import events_in, text_of
from tests.support.fleet import Fleet, meeting
from tests.support.native_client import eventually, message_body
from tests.support.ordered_model import an_order, told
from tests.support.redis_servers import RedisProcess

PIECES = 30_000
"""More than the buffers between the two hold, some 6 MB of events, and within a reply's bound."""


async def test_a_reader_who_is_slower_than_the_log_is_kept_misses_nothing(
    fleet: Fleet, redis: RedisProcess
) -> None:
    service = await fleet.one()
    client, key = meeting(service), "slow"
    bearer = str((await client.post("/api/client-key", {})).document["clientKey"])
    order = an_order("s", PIECES)
    reader, writer = await connected_narrowly(service.url)
    body = json.dumps(message_body(order)).encode()
    writer.write(
        b"POST /api/chat HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nAuthorization: Bearer %s\r\n"
        b"Idempotency-Key: %s\r\nContent-Length: %d\r\n\r\n%s"
        % (bearer.encode(), key.encode(), len(body), body)
    )
    head = await reader.readuntil(b"sessionId")
    head += await reader.readexactly(60)
    session_id = head.decode().rpartition('":"')[2][:36]
    owner = meeting(service)
    owner.headers["authorization"] = f"Bearer {bearer}"
    await eventually(lambda: owner.has_ended(session_id))
    async with Redis.from_url(redis.url) as looking:
        # As a minute later.
        await looking.delete(f"{{conversation:state:{session_id}}}:turn")
    rest = await reader.read()
    writer.close()

    assert text_of(events_in(unchunked(head + rest))) == told("s", PIECES)


async def connected_narrowly(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that takes in little before it is read from."""
    address = urlsplit(url)
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    narrow.setblocking(False)
    await asyncio.get_running_loop().sock_connect(narrow, (address.hostname, address.port))
    return await asyncio.open_connection(sock=narrow, limit=4_096)


def unchunked(answer: bytes) -> bytes:
    """The body of an answer that came in chunks."""
    rest, body = answer.partition(b"\r\n\r\n")[2], b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return body
