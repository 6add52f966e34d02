"""What requests cost a server process, in CPU time."""

import asyncio
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from tests.support.process_usage import cpu_seconds
from tests.support.processes import ServerProcess

_TIMEOUT_SECONDS: Final = 120
_HOPELESS_SECONDS: Final = 0.5
"""A request that costs more is not repeated."""


async def answer_to(server: ServerProcess, request: bytes) -> bytes:
    """The head of the answer to exactly these bytes, sent on a new connection."""
    address = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            writer.write(request)
            return await reader.readuntil(b"\r\n\r\n")
    finally:
        writer.close()


async def cost_of(server: ServerProcess, request: bytes, times: int) -> float:
    """The CPU seconds of one request, on average."""
    before, spent, sent = cpu_seconds(server.pid), 0.0, 0
    while sent < times and spent < _HOPELESS_SECONDS:
        await answer_to(server, request)
        spent, sent = cpu_seconds(server.pid) - before, sent + 1
    return spent / sent


def request_of(target: str, headers: Mapping[str, str], body: bytes | None = None) -> bytes:
    """A GET request, or a POST request with a JSON body."""
    typed = {"Content-Type": "application/json", "Content-Length": str(len(body or b""))}
    fields = {"Host": "127.0.0.1", **({} if body is None else typed), **headers}
    method = "GET" if body is None else "POST"
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {fields[name]}" for name in fields)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")
