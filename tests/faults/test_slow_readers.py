"""A client that reads very slowly still gets the whole reply."""

import asyncio
import json
import socket
from urllib.parse import urlsplit

from redis.asyncio import Redis

from tests.support.event_stream import events_in, text_of
from tests.support.fleet import Fleet, client_of
from tests.support.instructed_model import instruction, reply_to
from tests.support.native_client import eventually, message_body
from tests.support.redis_servers import RedisProcess

PIECES = 30_000
"""About 6 MB of events: more than the buffers in between hold, less than the limit of a reply."""


async def test_a_client_that_reads_after_the_log_has_expired_misses_nothing(
    fleet: Fleet, redis: RedisProcess
) -> None:
    service = await fleet.start()
    client, key = client_of(service), "slow"
    client_key = str((await client.post("/api/client-key", {})).document["clientKey"])
    reader, writer = await connect_with_small_buffers(service.url)
    body = json.dumps(message_body(instruction("s", PIECES))).encode()
    writer.write(
        b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nAuthorization: Bearer %s\r\n"
        b"Idempotency-Key: %s\r\nContent-Length: %d\r\n\r\n%s"
        % (client_key.encode(), key.encode(), len(body), body)
    )
    head = await reader.readuntil(b"sessionId")
    head += await reader.readexactly(60)
    session_id = head.decode().rpartition('":"')[2][:36]
    fast_client = client_of(service)
    fast_client.headers["authorization"] = f"Bearer {client_key}"
    await eventually(lambda: fast_client.has_ended(session_id))
    async with Redis.from_url(redis.url) as direct:
        # The log expires a minute after the turn.
        await direct.delete(f"{{conversation:state:{session_id}}}:turn")
    rest = await reader.read()
    writer.close()

    assert text_of(events_in(unchunked(head + rest))) == reply_to("s", PIECES)


async def connect_with_small_buffers(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that receives little until it is read."""
    address = urlsplit(url)
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    small.setblocking(False)
    await asyncio.get_running_loop().sock_connect(small, (address.hostname, address.port))
    return await asyncio.open_connection(sock=small, limit=4_096)


def unchunked(answer: bytes) -> bytes:
    """The body of a response with chunked transfer encoding."""
    rest, body = answer.partition(b"\r\n\r\n")[2], b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return body
