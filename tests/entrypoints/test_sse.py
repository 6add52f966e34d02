"""Server-sent events as bytes, and how a stream of them ends."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Scope

from entrypoints.http import sse
from entrypoints.http.sse import EventStream, StreamBroken, event, padded_event

SCOPE: Scope = {"type": "http"}


class Client:
    """The other end of a response: records what is sent, and disconnects once ``leaves`` is set."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.leaves = asyncio.Event()
        self.got_something = asyncio.Event()

    async def receive(self) -> Message:
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if message.get("body"):
            self.got_something.set()

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def ended_well(self) -> bool:
        return self.sent[-1].get("more_body") is False


def document_of(raw: bytes) -> Any:
    return msgspec.json.decode(raw.partition(b"data: ")[2])


def test_an_event_is_framed_in_one_line_of_data() -> None:
    assert event({"a": 1}) == b'data: {"a":1}\n\n'
    assert event({}, name="hello", cursor="t.3") == b"event: hello\nid: t.3\ndata: {}\n\n"


@given(st.text(), st.sampled_from(["", "0123456789abcdef0123456789abcdef.17"]))
def test_a_padded_event_has_a_multiple_of_64_bytes(delta: str, cursor: str) -> None:
    padded = padded_event({"type": "text-delta", "delta": delta}, cursor=cursor)

    document = document_of(padded)
    padding = document.pop("obfuscation")
    assert len(padded) % 64 == 0
    assert document == {"type": "text-delta", "delta": delta}
    assert len(padding) < 64


def test_pieces_of_similar_length_have_the_same_size() -> None:
    sizes = {len(padded_event({"delta": "x" * length})) for length in range(1, 25)}

    assert sizes == {64}


def test_padding_is_random() -> None:
    assert padded_event({"delta": ""}) != padded_event({"delta": ""})


@pytest.mark.parametrize("text", ["a\nb", "a\r\nb", "\r", "\n\n", "data: x\n\n"])
def test_text_cannot_break_an_event(text: str) -> None:
    raw = event({"delta": text})

    assert b"\r" not in raw
    assert raw.count(b"\n") == 2
    assert document_of(raw) == {"delta": text}


async def test_a_stream_sends_each_chunk_at_once_and_ends() -> None:
    async def chunks() -> AsyncGenerator[bytes, None]:
        yield b"data: 1\n\n"
        yield b"data: 2\n\n"

    client = Client()
    await EventStream(chunks(), headers={"x-own": "1"})(SCOPE, client.receive, client.send)

    headers = {name.decode(): value.decode() for name, value in client.sent[0]["headers"]}
    assert client.sent[0]["status"] == 200
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["cache-control"] == "no-store, no-transform"
    assert headers["x-accel-buffering"] == "no"
    assert headers["x-own"] == "1"
    assert "content-length" not in headers
    assert [message["body"] for message in client.sent[1:]] == [b"data: 1\n\n", b"data: 2\n\n", b""]
    assert client.ended_well


async def test_a_broken_stream_has_no_last_chunk() -> None:
    async def chunks() -> AsyncGenerator[bytes, None]:
        yield b"data: 1\n\n"
        raise StreamBroken

    client = Client()
    await EventStream(chunks())(SCOPE, client.receive, client.send)

    assert client.body == b"data: 1\n\n"
    assert not client.ended_well


async def test_a_broken_stream_first_gives_its_last_event_time_to_arrive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def chunks() -> AsyncGenerator[bytes, None]:
        yield b"data: 1\n\n"
        raise StreamBroken

    monkeypatch.setattr(sse, "BREAK_DELAY", timedelta(hours=1))
    client = Client()
    streaming = asyncio.create_task(EventStream(chunks())(SCOPE, client.receive, client.send))
    for _ in range(100):
        await asyncio.sleep(0)
    has_broken = streaming.done()
    streaming.cancel()
    await asyncio.wait([streaming])

    assert client.body == b"data: 1\n\n"
    assert not has_broken


async def test_a_disconnecting_client_closes_the_events() -> None:
    closed = asyncio.Event()

    async def chunks() -> AsyncGenerator[bytes, None]:
        try:
            yield b"data: 1\n\n"
            await asyncio.Event().wait()
        finally:
            closed.set()

    client = Client()
    streaming = asyncio.create_task(EventStream(chunks())(SCOPE, client.receive, client.send))
    await client.got_something.wait()
    client.leaves.set()
    await streaming

    assert closed.is_set()
    assert not client.ended_well


async def test_a_failure_of_the_events_is_not_swallowed() -> None:
    async def chunks() -> AsyncGenerator[bytes, None]:
        yield b"data: 1\n\n"
        raise RuntimeError

    client = Client()
    with pytest.raises(RuntimeError):
        await EventStream(chunks())(SCOPE, client.receive, client.send)

    assert not client.ended_well
