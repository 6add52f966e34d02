"""Requests that wait on a connection behind a running reply are few, and end with their client."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from attrs import frozen

from tests.support.instructed_model import HANG, InstructedModel, instruction
from tests.support.native_client import NativeClient, eventually
from tests.support.process_usage import open_files, resident_bytes
from tests.support.processes import ServerProcess, serving
from tests.support.raw_sockets import status_of, unread

GET: Final = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n"
LONG_HEAD: Final = (
    GET + b"".join(b"X-%d: %b\r\n" % (number, b"a" * 240) for number in range(120)) + b"\r\n"
)
CONNECTIONS: Final = 200
GROWTH_BYTES: Final = 25_000_000
NEVER_END: Final = instruction("slow", 1, ending=HANG)


@frozen(kw_only=True)
class Running:
    """A process with a reply that never ends, and the request that follows it."""

    server: ServerProcess
    follow: bytes
    client: NativeClient


@asynccontextmanager
async def endless_reply(model: InstructedModel) -> AsyncIterator[Running]:
    async with serving(MODEL_BASE_URL=model.url, MODEL_NAME="instructed") as server:
        client = NativeClient(server.url)
        await client.get_key()
        async with client.streaming(NEVER_END) as live:
            session_id = str((await live.event()).document["sessionId"])
            await live.until("text-delta")
            lines = [f"GET /api/chat/{session_id}/stream HTTP/1.1", f"Cookie: {client.cookie}"]
            follow = "\r\n".join([*lines, "Host: localhost", "", ""]).encode()
            yield Running(server=server, follow=follow, client=client)


async def test_long_heads_behind_a_running_reply_fill_no_memory(
    instructed_model: InstructedModel,
) -> None:
    async with endless_reply(instructed_model) as running:
        before = resident_bytes(running.server.pid)
        requests = running.follow + LONG_HEAD * 8
        async with unread(running.server.url, requests, connections=CONNECTIONS):
            await status_of(running.server.url, GET + b"\r\n")
            growth = resident_bytes(running.server.pid) - before

    assert growth < GROWTH_BYTES


async def test_a_client_that_leaves_is_noticed_although_a_request_waits(
    instructed_model: InstructedModel,
) -> None:
    unkept = b'{"input": "%b", "store": false}' % NEVER_END.encode()
    async with serving(
        MODEL_BASE_URL=instructed_model.url,
        MODEL_NAME="instructed",
        MODEL_SILENCE_SECONDS="600",
        PRIVITY_V1="open",
    ) as server:
        client = NativeClient(server.url)
        await client.get_key()
        key = str(client.cookie).removeprefix("privity=").encode()
        head = b"POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + key
        typed = b"\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(unkept)
        before = open_files(server.pid)
        async with unread(server.url, head + typed + unkept + GET + b"\r\n", connections=4):

            async def are_asked() -> bool:
                await status_of(server.url, GET + b"\r\n")
                return instructed_model.requests["slow"] == 4

            await eventually(are_asked)

        async def have_left() -> bool:
            await status_of(server.url, GET + b"\r\n")
            return open_files(server.pid) <= before

        await eventually(have_left)
