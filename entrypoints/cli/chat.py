"""``privity chat``: a conversation in the terminal, through the documented API only."""

import asyncio
import signal
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import suppress
from typing import Annotated, Any, Final, TypeAlias

import aiohttp
import msgspec
import typer
from attrs import frozen

from adapters.language_model.sse_reader import SseReader


@frozen(kw_only=True)
class ServerEvent:
    """One event with a JSON document; its name is empty unless the server gave one."""

    name: str
    document: dict[str, Any]


async def events_of(chunks: AsyncIterable[bytes]) -> AsyncIterator[ServerEvent]:
    """Yield the events of a byte stream, without its closing ``[DONE]``."""
    reader = SseReader()
    async for chunk in chunks:
        for event in reader.feed(chunk):
            if event.data != b"[DONE]":
                document = msgspec.json.decode(event.data)
                yield ServerEvent(name=event.name, document=document)


_HELP: Final = "/new begins again, /again asks for another answer, /forget forgets, /quit leaves."
_FAILED: Final = 1
_SUCCESS: Final = 300

Write: TypeAlias = Callable[[str], None]


class RequestRefused(Exception):
    """The server answered with a problem; the text is its sentence for people."""


def chat(
    url: Annotated[str, typer.Option(help="Where the server is.")] = "http://127.0.0.1:8000",
    client_key: Annotated[
        str | None,
        typer.Option(envvar="PRIVITY_CLIENT_KEY", help="Yours; a new one is made without it."),
    ] = None,
) -> None:
    """Talk to a running server.

    Ctrl-C stops a reply that is being written; /help lists the commands.
    """
    with suppress(KeyboardInterrupt):
        raise typer.Exit(asyncio.run(_chat(url.rstrip("/"), client_key)))


async def _chat(url: str, client_key: str | None) -> int:
    async with aiohttp.ClientSession() as http:
        try:
            key = client_key or await _new_client_key(http, url)
            await Talk(http, url, key, _write).run(_ask)
        except RequestRefused as refused:
            return _complain(str(refused))
        except aiohttp.ClientError:
            return _complain(f"No Privity answers at {url}; start one with: privity serve")
    return 0


def _complain(why: str) -> int:
    typer.secho(f"privity: {why}", err=True, fg=typer.colors.RED)
    return _FAILED


async def _new_client_key(http: aiohttp.ClientSession, url: str) -> str:
    async with http.post(f"{url}/api/client-key", json={}) as answer:
        document = await _document(answer)
    return str(document["clientKey"])


async def _document(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    try:
        document: dict[str, Any] = await answer.json(content_type=None)
    except ValueError:
        document = {}
    if answer.status >= _SUCCESS:
        raise RequestRefused(document.get("detail", f"The server answered {answer.status}."))
    return document


def _write(text: str) -> None:
    typer.echo(text, nl=False)


async def _ask() -> str | None:
    """A line from the terminal; absent at its end."""
    try:
        return (await asyncio.to_thread(input, "\nyou > ")).strip()
    except EOFError:
        return None


class Talk:
    """One conversation; it follows the server when that begins a new one."""

    def __init__(
        self, http: aiohttp.ClientSession, url: str, client_key: str, write: Write
    ) -> None:
        """``write`` gets the text of replies as they come."""
        self._http = http
        self._url = url
        self._headers = {"authorization": f"Bearer {client_key}"}
        self._write = write
        self.session_id: str | None = None

    async def run(self, ask: Callable[[], Any]) -> None:
        """Ask for lines and answer them until there are no more."""
        self._write(_HELP + "\n")
        while (line := await ask()) is not None and line != "/quit":
            try:
                await self._take(line)
            except RequestRefused as refused:
                self._write(f"({refused})\n")

    async def _take(self, line: str) -> None:
        if line == "/forget":
            await self._forget()
        elif line == "/new":
            self.session_id = None
            self._write("(A new conversation; the one before is kept until it expires.)\n")
        elif line == "/again" and self.session_id:
            await self._stream(f"/api/chat/{self.session_id}/regenerate", {})
        elif line.startswith("/"):
            self._write(_HELP + "\n")
        elif line:
            named = {"sessionId": self.session_id} if self.session_id else {}
            await self._stream("/api/chat", {"message": line, **named})

    async def _forget(self) -> None:
        if self.session_id is not None:
            where = f"{self._url}/api/chat/{self.session_id}"
            async with self._http.delete(where, headers=self._headers) as answer:
                if answer.status >= _SUCCESS:
                    await _document(answer)
        self.session_id = None
        self._write("(Forgotten.)\n")

    async def _stream(self, path: str, body: dict[str, Any]) -> None:
        stopping: set[asyncio.Task[None]] = set()
        begun = asyncio.Event()

        async def stop() -> None:
            # Before its first event there is no reply that could be stopped.
            await begun.wait()
            await self._stop()

        def interrupted() -> None:
            stopping.add(asyncio.create_task(stop()))

        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, interrupted)
        try:
            where = f"{self._url}{path}"
            async with self._http.post(where, json=body, headers=self._headers) as answer:
                if answer.status >= _SUCCESS:
                    await _document(answer)
                async for event in events_of(answer.content.iter_any()):
                    self._show(event)
                    begun.set()
        except aiohttp.ClientPayloadError:
            self._write("\n(The reply broke off.)")
        finally:
            loop.remove_signal_handler(signal.SIGINT)
            begun.set()
            await asyncio.gather(*stopping, return_exceptions=True)
        self._write("\n")

    async def _stop(self) -> None:
        if self.session_id is not None:
            where = f"{self._url}/api/chat/{self.session_id}/stop"
            async with self._http.post(where, json={}, headers=self._headers):
                pass

    def _show(self, event: ServerEvent) -> None:
        document = event.document
        if event.name == "session-id":
            self.session_id = document["sessionId"]
            if document.get("restarted"):
                self._write("(The conversation had been forgotten; this is a new one.)\n")
        elif document.get("type") == "text-delta":
            self._write(document["delta"])
        elif document.get("type") == "error":
            self._write(f"\n({document['errorText']})")
        elif document.get("type") == "abort":
            self._write(" (stopped)")
