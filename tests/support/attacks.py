"""What one caller can try against a service; each attack returns the answers that it got."""

import asyncio
import json
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit
from uuid import uuid4

from attrs import frozen

from tests.support.http_client import Answer, Client
from tests.support.instructed_model import HANG, instruction

_AT_ONCE: Final = 8
_OTHER_REQUESTS: Final = 40


@frozen(kw_only=True)
class Attacker:
    """One caller and the process it calls; ``headers`` are its credentials."""

    url: str
    headers: Mapping[str, str]

    def client(self) -> Client:
        return Client(self.url, **self.headers)

    def head(self, method: str, path: str, *lines: str) -> bytes:
        credentials = [f"{name}: {value}" for name, value in self.headers.items()]
        head = [f"{method} {path} HTTP/1.1", f"host: {urlsplit(self.url).netloc}"]
        return "\r\n".join([*head, *credentials, *lines]).encode() + b"\r\n\r\n"

    async def connect(self) -> tuple[StreamReader, StreamWriter]:
        address = urlsplit(self.url)
        return await asyncio.open_connection(address.hostname, address.port)


Attack = Callable[[Attacker], Awaitable[Sequence[Answer]]]


async def _all(calls: Sequence[Awaitable[Answer]]) -> Sequence[Answer]:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(call: Awaitable[Answer]) -> Answer | None:
        async with gate:
            # A connection that the service aborts is an answer too, but has none to look at.
            with suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
                return await call
        return None

    return [answer for answer in await asyncio.gather(*map(one, calls)) if answer is not None]


async def long_language_tags(attacker: Attacker) -> Sequence[Answer]:
    """Accept-Language with one enormous tag, and with very many."""
    tags = ["en-" + "a-" * 30_000, ",".join(["xx-yy"] * 9_000), "-" * 60_000]
    client = attacker.client()
    return await _all(
        [client.post("/api/sessions", {}, accept_language=tag) for tag in tags for _ in range(3)]
    )


async def endless_trailers(attacker: Attacker) -> Sequence[Answer]:
    """A chunked body that is followed by trailers without end."""
    _, writer = await attacker.connect()
    lines = ("content-type: application/json", "transfer-encoding: chunked")
    writer.write(attacker.head("POST", "/api/chat", *lines) + b"2\r\n{}\r\n0\r\n")
    with suppress(ConnectionError, TimeoutError):
        for _ in range(500):
            writer.write(b"x-forwarded-for: 1.2.3.4\r\n" * 2_000)
            async with asyncio.timeout(2):
                await writer.drain()
    writer.transport.abort()
    return []


async def many_answers_that_nobody_reads(attacker: Attacker) -> Sequence[Answer]:
    """The largest documents, asked for on many connections that are never read."""
    client = attacker.client()
    conversation = await client.post(
        "/v1/conversations",
        {"items": [{"role": "user", "content": "x" * 7_000} for _ in range(15)]},
    )
    paths = ["/openapi.json", "/page/chat.js"]
    if conversation.status == 200:
        paths.append(f"/v1/conversations/{conversation.document['id']}/items?limit=100")
    writers = []
    for number in range(60):
        _, writer = await attacker.connect()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(20):
            writer.write(attacker.head("GET", paths[number % len(paths)]))
        writers.append(writer)
    await _be_served(attacker)
    for writer in writers:
        writer.transport.abort()
    return [conversation]


async def heavy_notes(attacker: Attacker) -> Sequence[Answer]:
    """Instructions, metadata, schemas and tools that are stored with every response."""
    tool = {"type": "function", "name": "t", "parameters": {"d": "y" * 50_000}}
    body = {
        "input": instruction(_name(), 1),
        "instructions": "z" * 50_000,
        "tools": [tool],
        "metadata": {f"k{number}": "v" * 512 for number in range(16)},
    }
    client = attacker.client()
    return await _all([client.post("/v1/responses", body) for _ in range(20)])


async def many_messages(attacker: Attacker) -> Sequence[Answer]:
    """Far more messages than a person writes, each in a conversation of its own."""
    client = attacker.client()
    return await _all(
        [
            client.post(
                "/api/chat", {"message": instruction(_name(), 1)}, accept="text/event-stream"
            )
            for _ in range(150)
        ]
    )


async def many_open_replies(attacker: Attacker) -> Sequence[Answer]:
    """Replies that never end, stored and not stored."""
    body = {"message": instruction(_name(), 1, ending=HANG)}
    unkept = {"input": instruction(_name(), 1, ending=HANG), "store": False, "stream": True}
    client = attacker.client()

    async def glimpse(path: str, document: object) -> Answer:
        content = json.dumps(document).encode()
        async with client.open("POST", path, content, content_type="application/json") as live:
            if live.status == 200:
                await live.chunk()
                await _be_served(attacker)
                return Answer(status=200, headers=live.headers)
            return await live.whole()

    calls = [glimpse("/api/chat", body) for _ in range(40)]
    return await _all([*calls, *(glimpse("/v1/responses", unkept) for _ in range(40))])


async def bodies_of_many_members(attacker: Attacker) -> Sequence[Answer]:
    """Thousands of messages, items and tool results, and JSON that is nested deeply."""
    message = {"id": "m", "role": "user", "parts": [{"type": "text", "text": "x"}]}
    deep = json.loads("[" * 900 + "]" * 900)
    call = {"type": "function_call", "call_id": "c", "name": "n", "arguments": "{}"}
    calls = [{**call, "call_id": f"c{number}"} for number in range(500)]
    results = [
        {"type": "function_call_output", "call_id": f"c{number}", "output": "1"}
        for number in range(500)
    ]
    client = attacker.client()
    return await _all(
        [
            client.post("/api/chat", {"id": _name(), "messages": [message] * 1_900}),
            client.post("/api/chat", {"message": "x", "context": deep}),
            client.post("/v1/responses", {"input": [{"role": "user", "content": "x"}] * 2_000}),
            client.post("/v1/responses", {"input": [*calls, *results]}),
            client.post("/v1/conversations", {"items": [*calls, *results]}),
            client.post("/v1/responses", {"input": "x", "metadata": deep}),
            client.post("/v1/responses", {"input": "x", "text": {"format": deep}}),
        ]
    )


async def pages_and_keys(attacker: Attacker) -> Sequence[Answer]:
    """The page, client keys and sessions, over and over."""
    client = attacker.client()
    return await _all(
        [
            *(client.get("/") for _ in range(100)),
            *(client.post("/api/client-key", {}) for _ in range(200)),
            *(client.post("/api/sessions", {}) for _ in range(200)),
        ]
    )


async def odd_requests(attacker: Attacker) -> Sequence[Answer]:
    """Wrong hosts, ids, cursors, keys, query strings and content types."""
    client = attacker.client()
    long = "9" * 50_000
    return await _all(
        [
            client.get("/api/chat?sessionId=" + long),
            client.get("/api/chat?" + "&".join(f"a{number}=1" for number in range(8_000))),
            client.get(f"/api/chat/{long}/stream", last_event_id="x." + "9" * 5_000),
            client.get("/", cookie="; ".join(f"c{number}=v" for number in range(6_000))),
            client.get("/", host="evil.example"),
            client.get("/", x_forwarded_for=", ".join(["1.2.3.4"] * 7_000)),
            client.post("/api/chat", {"message": "x"}, idempotency_key="k" * 60_000),
            client.post("/api/chat", {"message": "x"}, content_type="a/b;" + ";" * 60_000),
            client.get("/page/chat.js", if_none_match='"a",' * 15_000),
            client.get("/" + "%2e" * 20_000),
        ]
    )


async def slow_heads_and_pipelines(attacker: Attacker) -> Sequence[Answer]:
    """Connections that never finish a request, and some that pipeline without end."""
    writers = []
    for number in range(100):
        _, writer = await attacker.connect()
        writer.write(b"GET / HTTP/1.1\r\nx: " if number % 2 else attacker.head("GET", "/") * 500)
        writers.append(writer)
    await _be_served(attacker)
    for writer in writers:
        writer.transport.abort()
    return []


async def _be_served(attacker: Attacker) -> None:
    """Give the service time to work on what is open: a number of other requests."""
    for _ in range(_OTHER_REQUESTS):
        await attacker.client().get("/health/live")


def _name() -> str:
    return f"a{uuid4().hex[:8]}"


ATTACKS: Final[tuple[Attack, ...]] = (
    long_language_tags,
    endless_trailers,
    many_answers_that_nobody_reads,
    heavy_notes,
    many_messages,
    many_open_replies,
    bodies_of_many_members,
    pages_and_keys,
    odd_requests,
    slow_heads_and_pipelines,
)
