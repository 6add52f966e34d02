"""Requests that break off, never end or arrive too slowly."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from entrypoints.http import connection
from entrypoints.http.connection import LINGER_MAX_BYTES
from tests.support.http_client import send_raw
from tests.support.untouched_conversation import UntouchedConversation

CHUNK = b"20000\r\n" + b" " * 0x20000 + b"\r\n"


def head_of(untouched: UntouchedConversation, *lines: str) -> bytes:
    """The head of a request from the owner of the conversation."""
    headers = [
        "Host: localhost",
        f"Cookie: {untouched.client.cookie}",
        "Content-Type: application/json",
    ]
    return "\r\n".join(["POST /api/chat HTTP/1.1", *headers, *lines, "", ""]).encode()


@asynccontextmanager
async def open_connection(
    untouched: UntouchedConversation,
) -> AsyncIterator[tuple[StreamReader, StreamWriter]]:
    address = urlsplit(untouched.client.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def read_to_end(reader: StreamReader) -> bytes:
    """Everything that the service sends before it closes the connection."""
    received = b""
    async with asyncio.timeout(5):
        with suppress(ConnectionError):
            while chunk := await reader.read(65_536):
                received += chunk
    return received


@pytest.mark.parametrize("length", ["Transfer-Encoding: chunked", "Content-Length: 10000000"])
async def test_a_body_that_never_ends_is_cut_off(
    untouched: UntouchedConversation, length: str
) -> None:
    async with open_connection(untouched) as (reader, writer):
        writer.write(head_of(untouched, length) + CHUNK + CHUNK)
        answer = await read_to_end(reader)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"body_too_large"' in answer
    await untouched.assert_unchanged()


async def test_a_slow_body_times_out(
    untouched: UntouchedConversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeout = timedelta(milliseconds=50)
    monkeypatch.setattr("entrypoints.http.requests.BODY_TIMEOUT", timeout)

    async with open_connection(untouched) as (reader, writer):
        writer.write(head_of(untouched, "Content-Length: 100") + b'{"message":')
        answer = await read_to_end(reader)

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"body_too_slow"' in answer
    assert b"set-cookie" not in answer.lower()
    await untouched.assert_unchanged()


async def test_an_incomplete_body_is_not_a_message(untouched: UntouchedConversation) -> None:
    body = b'{"message":"Hi","sessionId":"%b"}' % untouched.session_id.encode()

    async with open_connection(untouched) as (reader, writer):
        writer.write(head_of(untouched, f"Content-Length: {len(body) + 1}") + body)
        writer.write_eof()
        answer = await read_to_end(reader)

    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
    await untouched.assert_unchanged()


async def test_bytes_after_a_body_are_not_part_of_it(untouched: UntouchedConversation) -> None:
    body = b'{"message":" ","sessionId":"%b"}' % untouched.session_id.encode()
    whole = head_of(untouched, f"Content-Length: {len(body)}") + body

    async with open_connection(untouched) as (reader, writer):
        writer.write(whole + b"garbage that is not a request\r\n\r\n")
        answer = await read_to_end(reader)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"HTTP/1.1 200" not in answer
    await untouched.assert_unchanged()


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
async def test_an_ambiguous_request_is_rejected(
    untouched: UntouchedConversation, lines: tuple[str, ...]
) -> None:
    async with send_raw(untouched.client.url, head_of(untouched, *lines) + b"0\r\n\r\n") as live:
        answer = await live.whole()

    assert answer.status == 400
    assert "set-cookie" not in answer.headers
    await untouched.assert_unchanged()


async def test_a_head_that_never_ends_is_cut_off(untouched: UntouchedConversation) -> None:
    async with open_connection(untouched) as (reader, writer):
        writer.write(head_of(untouched)[:-2])
        reading = asyncio.create_task(read_to_end(reader))
        line, sent = b"X: " + b"a" * 1_000 + b"\r\n", 0
        while not reading.done():
            writer.write(line)
            sent += len(line)
            with suppress(ConnectionError):
                await writer.drain()
            await asyncio.sleep(0)
        answer = await reading

    assert not answer.startswith(b"HTTP/1.1 2")
    # Besides the limit of the head, what the sockets on both sides can buffer.
    assert sent < 16_000_000
    await untouched.assert_unchanged()


async def test_a_slow_head_times_out(
    untouched: UntouchedConversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("entrypoints.http.connection.HEAD_SECONDS", 0.05)

    async with open_connection(untouched) as (reader, writer):
        writer.write(head_of(untouched)[:-2])
        answer = await read_to_end(reader)

    assert answer == b""
    await untouched.assert_unchanged()


async def test_a_client_that_sends_all_of_a_too_large_body_still_gets_the_answer(
    untouched: UntouchedConversation,
) -> None:
    body = b" " * 3_000_000
    async with open_connection(untouched) as (reader, writer):
        writer.write(head_of(untouched, f"Content-Length: {len(body)}"))
        for start in range(0, len(body), 65_536):
            # A client that is still sending reads nothing. After a reset it could send no more.
            writer.write(body[start : start + 65_536])
            await writer.drain()
            await asyncio.sleep(0)
        received = await read_to_end(reader)

    assert received.startswith(b"HTTP/1.1 413 ")
    assert b"body_too_large" in received


async def test_a_refused_body_that_never_ends_is_cut_off(
    untouched: UntouchedConversation,
) -> None:
    sent = 0
    async with open_connection(untouched) as (_, writer):
        writer.write(head_of(untouched, "Transfer-Encoding: chunked"))
        with suppress(ConnectionError):
            while sent < 10 * LINGER_MAX_BYTES:
                writer.write(CHUNK)
                await writer.drain()
                sent += len(CHUNK)

    # The buffers of both sockets hold a few million bytes more.
    assert sent < 2 * LINGER_MAX_BYTES


async def test_a_refused_body_that_stops_arriving_is_not_waited_for(
    untouched: UntouchedConversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "LINGER_SECONDS", 0.05)
    async with open_connection(untouched) as (reader, writer):
        writer.write(head_of(untouched, "Content-Length: 9000000") + CHUNK * 2)
        received = await read_to_end(reader)
        # The service has only said that it sends no more; now it takes no more either.
        async with asyncio.timeout(20):
            with suppress(ConnectionError):
                while True:
                    writer.write(b" ")
                    await writer.drain()
                    await asyncio.sleep(0.01)

    assert received.startswith(b"HTTP/1.1 413 ")
