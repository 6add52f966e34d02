"""A hook for tests: records the requests that it gets, and answers each as planned."""

import asyncio
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
from attrs import asdict, define, field, frozen
from msgspec import Raw

from adapters.turn_hook.hook_sample import sample_question
from adapters.turn_hook.hook_server import HookServer
from adapters.turn_hook.hook_signature import key_of
from adapters.turn_hook.http_hook import HttpHook, open_hook
from domain.model.identifiers import TurnId
from domain.model.preparation import Preparation, Question, TurnKind
from domain.model.prompt import DEFAULT_OPTIONS
from ports.clock import Clock
from tests.support.clocks import HastyClock

SECRET: Final = "whsec_" + "A" * 32
KEY: Final = key_of(SECRET)
LONG: Final = timedelta(seconds=20)
"""Longer than any test takes."""

_TIMEOUT_SECONDS: Final = 20


@frozen(kw_only=True)
class Planned:
    """What the hook sends for one request.

    Attributes:
        raw: the bytes of the response.
        hangs: whether nothing follows ``raw``, not even the end of the connection.
        closes: whether the connection ends after ``raw``.
    """

    raw: bytes = b""
    hangs: bool = False
    closes: bool = False


def a_response(
    status: int, body: bytes = b"", *, content_type: str = "application/json", **headers: str
) -> Planned:
    """A whole response."""
    lines = [f"HTTP/1.1 {status} Planned", f"content-length: {len(body)}"]
    if body:
        lines.append(f"content-type: {content_type}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return Planned(raw="\r\n".join([*lines, "", ""]).encode() + body)


def an_answer(**members: Any) -> Planned:
    """A successful response with these members."""
    return a_response(200, msgspec.json.encode(members))


def answer_of(preparation: Preparation) -> Planned:
    """The response of a hook that wants this."""
    options = {
        _camel(name): value
        for name, value in asdict(preparation.options).items()
        if value != getattr(DEFAULT_OPTIONS, name)
    }
    tools: list[object] = [*sorted(preparation.offered or ())]
    tools += [{**asdict(tool), "parameters": Raw(tool.parameters)} for tool in preparation.tools]
    members: dict[str, Any] = {
        "instructions": preparation.instructions,
        "passages": [
            {"title": passage.title, "text": passage.text, "url": passage.url}
            for passage in preparation.passages
        ],
        "reply": preparation.reply,
        "tools": None if preparation.offered is None else tools,
        "options": options,
    }
    if preparation.changes_state:
        members["state"] = Raw(preparation.state or "null")
    for tool in tools:
        if isinstance(tool, dict):
            tool.pop("strict")
    return an_answer(**members)


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


@frozen(kw_only=True)
class Request:
    """A request that the hook got; the names of its headers are in lower case."""

    line: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


@define
class FakeHook:
    """Answers one request after the other as planned, and every further one with 204.

    Attributes:
        connections: how many connections were accepted.
        writers: those of all connections.
        open_connections: how many of them are open.
        skips_checks: whether the sample question of a service that starts is answered with 204, and
            not recorded.
    """

    planned: list[Planned]
    skips_checks: bool = False
    port: int = 0
    scheme: str = "http"
    requests: list[Request] = field(factory=list)
    writers: list[StreamWriter] = field(factory=list)
    connections: int = 0
    open_connections: int = 0
    _changed: asyncio.Event = field(factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/prepare"

    async def until(self, *, requests: int = 0, open_connections: int | None = None) -> None:
        """Return once there are that many requests or connections."""
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            while len(self.requests) < requests or (
                open_connections is not None and self.open_connections != open_connections
            ):
                self._changed.clear()
                await self._changed.wait()

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        self.open_connections += 1
        try:
            with suppress(asyncio.IncompleteReadError, OSError):
                while await self._answer(reader, writer):
                    pass
        finally:
            self.open_connections -= 1
            self._changed.set()
            writer.close()

    async def _answer(self, reader: StreamReader, writer: StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *lines = head.strip().split("\r\n")
        pairs = (one.partition(":") for one in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers["content-length"]))
        request = Request(line=line, headers=headers, body=body)
        if self.skips_checks and request.json["conversation"] == sample_question().conversation:
            writer.write(a_response(204).raw)
            return True
        self.requests.append(request)
        self._changed.set()
        planned = self.planned.pop(0) if self.planned else a_response(204)
        writer.write(planned.raw)
        await writer.drain()
        if planned.hangs:
            await reader.read()
        return not (planned.hangs or planned.closes)


@asynccontextmanager
async def fake_hook(
    *planned: Planned, tls: ssl.SSLContext | None = None, skips_checks: bool = False
) -> AsyncIterator[FakeHook]:
    scheme = "http" if tls is None else "https"
    hook = FakeHook(list(planned), scheme=scheme, skips_checks=skips_checks)
    server = await asyncio.start_server(hook.serve, "127.0.0.1", 0, ssl=tls)
    hook.port = server.sockets[0].getsockname()[1]
    try:
        yield hook
    finally:
        # A connection that is accepted while the server closes would never be closed.
        await _passes_of_the_event_loop()
        server.close()
        for writer in hook.writers:
            writer.transport.abort()
        await hook.until(open_connections=0)
        await _passes_of_the_event_loop()


async def _passes_of_the_event_loop() -> None:
    """Let connections that were just accepted begin, and those that were aborted end."""
    for _ in range(8):
        await asyncio.sleep(0)


@asynccontextmanager
async def hook_at(
    url: str,
    *,
    clock: Clock | None = None,
    within: timedelta = LONG,
    connect_timeout: timedelta = LONG,
    keys: tuple[bytes, ...] = (KEY,),
    ca_file: Path | None = None,
) -> AsyncIterator[HttpHook]:
    """The adapter under test."""
    server = HookServer(
        url=url, keys=keys, connect_timeout=connect_timeout, timeout=within, ca_file=ca_file
    )
    async with open_hook(server, clock or HastyClock()) as hook:
        yield hook


def a_question(**members: Any) -> Question:
    """A question; ``members`` replace some of it."""
    return Question(
        **{
            "turn_id": TurnId("0" * 32),
            "conversation": "digest",
            "turn": 1,
            "kind": TurnKind.MESSAGE,
            "locale": "de",
            "message": "Wann wird gewählt?",
            **members,
        }
    )
