"""Requests that break off, never end or come too slowly."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from tests.support.http_client import sent
from tests.support.untouched_conversation import UntouchedConversation

CHUNK = b"20000\r\n" + b" " * 0x20000 + b"\r\n"


def head_of(untouched: UntouchedConversation, *lines: str) -> bytes:
    """The head of a message from the owner of the kept conversation."""
    named = ["Host: here", f"Cookie: {untouched.client.cookie}", "Content-Type: application/json"]
    return "\r\n".join(["POST /api/chat HTTP/1.1", *named, *lines, "", ""]).encode()


@asynccontextmanager
async def connected(
    untouched: UntouchedConversation,
) -> AsyncIterator[tuple[StreamReader, StreamWriter]]:
    address = urlsplit(untouched.client.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def to_the_end(reader: StreamReader) -> bytes:
    """All that the service sends before it closes the connection."""
    came = b""
    async with asyncio.timeout(5):
        with suppress(ConnectionError):
            while some := await reader.read(65_536):
                came += some
    return came


@pytest.mark.parametrize("length", ["Transfer-Encoding: chunked", "Content-Length: 10000000"])
async def test_a_body_that_never_ends_is_cut_off(
    untouched: UntouchedConversation, length: str
) -> None:
    async with connected(untouched) as (reader, writer):
        writer.write(head_of(untouched, length) + CHUNK + CHUNK)
        answer = await to_the_end(reader)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"body_too_large"' in answer
    await untouched.is_unchanged()


async def test_a_body_that_comes_too_slowly_is_not_waited_for(
    untouched: UntouchedConversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    within = timedelta(milliseconds=50)
    monkeypatch.setattr("entrypoints.http.requests.BODY_WITHIN", within)

    async with connected(untouched) as (reader, writer):
        writer.write(head_of(untouched, "Content-Length: 100") + b'{"message":')
        answer = await to_the_end(reader)

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"body_too_slow"' in answer
    assert b"set-cookie" not in answer.lower()
    await untouched.is_unchanged()


async def test_a_body_that_breaks_off_is_no_message(untouched: UntouchedConversation) -> None:
    body = b'{"message":"Hi","sessionId":"%b"}' % untouched.session_id.encode()

    async with connected(untouched) as (reader, writer):
        writer.write(head_of(untouched, f"Content-Length: {len(body) + 1}") + body)
        writer.write_eof()
        answer = await to_the_end(reader)

    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
    await untouched.is_unchanged()


async def test_bytes_behind_a_body_are_no_part_of_it(untouched: UntouchedConversation) -> None:
    body = b'{"message":" ","sessionId":"%b"}' % untouched.session_id.encode()
    whole = head_of(untouched, f"Content-Length: {len(body)}") + body

    async with connected(untouched) as (reader, writer):
        writer.write(whole + b"garbage that is no request\r\n\r\n")
        answer = await to_the_end(reader)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"HTTP/1.1 200" not in answer
    await untouched.is_unchanged()


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 2", "Transfer-Encoding: chunked"),
        ("Content-Length: 2", "Content-Length: 3"),
        ("Content-Length: -1",),
        ("Content-Length: 0x10",),
        ("Transfer-Encoding: chunked, x",),
        ("No colon",),
        ("Bad\0: name",),
    ],
    ids=lambda lines: lines[0],
)
async def test_a_request_that_can_be_read_in_two_ways_is_not_read(
    untouched: UntouchedConversation, lines: tuple[str, ...]
) -> None:
    async with sent(untouched.client.url, head_of(untouched, *lines) + b"0\r\n\r\n") as live:
        answer = await live.whole()

    assert answer.status == 400
    assert "set-cookie" not in answer.headers
    await untouched.is_unchanged()


async def test_a_head_that_never_ends_is_cut_off(untouched: UntouchedConversation) -> None:
    async with connected(untouched) as (reader, writer):
        writer.write(head_of(untouched)[:-2])
        # More than a server reads at once: only a head that comes in several reads is counted.
        for number in range(600):
            writer.write(f"X-{number}: {'a' * 1_000}\r\n".encode())
        answer = await to_the_end(reader)

    assert not answer.startswith(b"HTTP/1.1 2")
    await untouched.is_unchanged()


async def test_a_head_that_comes_too_slowly_is_not_waited_for(
    untouched: UntouchedConversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("entrypoints.http.server.HEAD_SECONDS", 0.05)

    async with connected(untouched) as (reader, writer):
        writer.write(head_of(untouched)[:-2])
        answer = await to_the_end(reader)

    assert answer == b""
    await untouched.is_unchanged()
