"""A client that does not read its answers fills no memory, and is cut off."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final
from uuid import UUID

from tests.support.model_server import a_reply, model_server
from tests.support.native_client import NativeClient, eventually
from tests.support.process_usage import resident_bytes
from tests.support.processes import RUN, serving
from tests.support.raw_sockets import everything, first_bytes, hang_up, unread
from tests.support.v1_client import V1Client

OPEN: Final = {
    "PRIVITY_V1": "open",
    "PRIVITY_LIMITS": "off",
    # A summary would take the next planned reply.
    "PRIVITY_SUMMARIES": "false",
    "PRIVITY_STORED_BYTES_PER_HOUR": "1000000000",
}
OPENAPI: Final = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
Requests = dict[str, bytes]
TEXT: Final = "\x01" * 8_000
TURNS: Final = 20
CONNECTIONS: Final = 30
"""For each way to read the conversation."""
GROWTH_BYTES: Final = 80_000_000
OTHER_ADDRESS: Final = "127.0.0.2"

# A client that takes nothing for two seconds is cut off. An older release has no such limit.
IMPATIENT: Final = """
from datetime import timedelta
from functools import partial
from inspect import signature
from entrypoints.cli import main, serve
if "unread_timeout" in signature(serve.serve_app).parameters:
    serve.serve_app = partial(serve.serve_app, unread_timeout=timedelta(seconds=2))
main.run()
"""


@asynccontextmanager
async def serving_long_conversation(program: str = RUN) -> AsyncIterator[tuple[str, int, Requests]]:
    """The URL and the process of a service, and requests that read one conversation.

    Its characters are escaped in JSON, so that its history is about 5 MB long.
    """
    async with model_server() as model:
        model.responses = [*(a_reply("ok") for _ in range(TURNS)), a_reply(*[TEXT] * 32)]
        settings = {**OPEN, "MODEL_BASE_URL": model.url, "MODEL_NAME": "any"}
        async with serving(program, **settings) as server:
            client = await V1Client.new(server.url)
            session_id = None
            for _ in range(TURNS + 1):
                document = await client.client.send_for_document(TEXT, session_id)
                session_id = document["sessionId"]
            yield server.url, server.pid, requests_for(UUID(session_id), client)


def requests_for(session_id: UUID, client: V1Client) -> Requests:
    paths = {
        "history": f"/api/chat?sessionId={session_id}",
        "export": f"/api/chat/{session_id}/export",
        "AI SDK": f"/api/chat/{session_id}",
        "items": f"/v1/conversations/conv_{session_id.hex}/items?limit=100",
    }
    return {kind: get(path, client) for kind, path in paths.items()}


def get(path: str, client: V1Client) -> bytes:
    key = f"Authorization: {client.headers['authorization']}"
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", key, "", ""]).encode()


def closing(request: bytes) -> bytes:
    """The same request, after whose answer the service closes the connection."""
    return request.removesuffix(b"\r\n") + b"Connection: close\r\n\r\n"


async def test_answers_that_one_client_does_not_read_fill_no_memory() -> None:
    async with serving_long_conversation() as (url, pid, requests):
        before = resident_bytes(pid)
        async with AsyncExitStack() as stack:
            for request in requests.values():
                opening = unread(url, request, CONNECTIONS)
                for connection in await stack.enter_async_context(opening):
                    await first_bytes(connection)
            growth = resident_bytes(pid) - before
            refused = await everything(url, closing(requests["history"]))
            other = await everything(url, closing(requests["history"]), OTHER_ADDRESS)

    assert growth < GROWTH_BYTES
    assert refused.startswith(b"HTTP/1.1 429 ")
    assert b'"code":"transfers_unfinished"' in refused
    assert b"\r\nretry-after: " in refused
    assert other.startswith(b"HTTP/1.1 200 ")
    assert len(other) > 4_000_000


async def test_an_answer_that_is_not_read_is_cut_off() -> None:
    async with serving_long_conversation(IMPATIENT) as (url, _, requests):
        answers = [*requests.values(), closing(requests["export"]), OPENAPI * 16]
        async with AsyncExitStack() as stack:
            for request in answers:
                (connection,) = await stack.enter_async_context(unread(url, request))
                await first_bytes(connection)
                stack.push_async_callback(hang_up, connection)
        answer = await everything(url, closing(requests["history"]))

    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_a_stream_that_is_not_read_is_cut_off_and_the_reply_is_kept() -> None:
    async with model_server(a_reply(*[TEXT] * 32)) as model:
        settings = {"MODEL_BASE_URL": model.url, "MODEL_NAME": "any"}
        async with serving(IMPATIENT, **OPEN, **settings) as server:
            client = (await V1Client.new(server.url)).client
            created = await client.post("/api/sessions", {})
            session_id = str(created.document["sessionId"])
            async with unread(server.url, streaming(session_id, client)) as (connection,):
                await hang_up(connection)
            await eventually(lambda: client.has_ended(session_id))
            *_, reply = await client.transcript(session_id)

    assert reply == ("assistant", TEXT * 32)


def streaming(session_id: str, client: NativeClient) -> bytes:
    body = json.dumps({"message": "Hi", "sessionId": session_id}).encode()
    head = (
        "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Authorization: {client.headers['authorization']}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
