"""A flood of reads from one address keeps nobody else waiting until all of it is answered."""

import asyncio
from typing import Final
from urllib.parse import urlsplit

from tests.support.fleet import Fleet
from tests.support.instructed_model import instruction
from tests.support.native_client import NativeClient
from tests.support.process_usage import cpu_seconds

CONNECTIONS: Final = 300
READS: Final = 8
OTHER_ADDRESS: Final = "127.0.0.2"


async def user(url: str, source: str = "") -> tuple[NativeClient, str]:
    client = NativeClient(url)
    client.source = source
    answer = await client.send(instruction("first", 3))
    return client, answer.session_id


async def flood(client: NativeClient, session_id: str, begun: asyncio.Event) -> None:
    """Many reads at once; returns when all of them are answered.

    ``begun`` is set with the first answer: by then the service has received all of them.
    """
    parts = urlsplit(client.url)
    request = f"GET /api/chat?sessionId={session_id} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
    request += f"Cookie: {client.cookie}\r\n"

    async def one() -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        last = request + "Connection: close\r\n\r\n"
        writer.write(((request + "\r\n") * (READS - 1) + last).encode())
        answers = await reader.read(1)
        begun.set()
        while chunk := await reader.read():
            answers += chunk
        assert answers.count(b"HTTP/1.1 200 ") == READS
        writer.close()

    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))


async def test_others_do_not_wait_for_a_flood_of_reads(fleet: Fleet) -> None:
    process = await fleet.start()
    attacker, attacked_id = await user(process.url)
    other, other_id = await user(process.url, OTHER_ADDRESS)
    before = cpu_seconds(process.pid)
    begun_flood = asyncio.Event()
    flooding = asyncio.create_task(flood(attacker, attacked_id, begun_flood))
    await begun_flood.wait()
    waits = []
    while not flooding.done():
        begun = cpu_seconds(process.pid)
        assert (await other.history(other_id)).status == 200
        waits.append(cpu_seconds(process.pid) - begun)
    await flooding
    whole = cpu_seconds(process.pid) - before

    assert max(waits) < whole / 8
