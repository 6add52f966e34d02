"""``privity chat``: a conversation in the terminal. It uses only the documented API."""

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

_HELP: Final = (
    "/new starts a new conversation, /again regenerates the last reply, "
    "/forget deletes the conversation, /quit exits."
)
_FAILED: Final = 1

_UNSAFE: Final = (
    *(code for code in range(0x20) if chr(code) not in "\t\n\r"),
    *range(0x7F, 0xA0),
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
)
"""Control characters, and those that change the writing direction of what follows."""

# A carriage return would let text overwrite what the line shows already.
_SHOWN_AS: Final = {ord("\r"): "", **{code: f"<U+{code:04X}>" for code in _UNSAFE}}

Write: TypeAlias = Callable[[str], None]


class RequestRefused(Exception):
    """The server rejected the request; ``str()`` is its message for users."""


def printable(text: str) -> str:
    """``text`` with its control characters made visible, so that they do not reach the terminal."""
    return text.translate(_SHOWN_AS)


def chat(
    url: Annotated[str, typer.Option(help="URL of the server.")] = "http://127.0.0.1:8000",
    client_key: Annotated[
        str | None,
        typer.Option(
            envvar="PRIVITY_CLIENT_KEY",
            help="Your client key; a new one is created if omitted.",
        ),
    ] = None,
) -> None:
    """Chat with a running server.

    Ctrl-C stops a reply that is being written; /help lists the commands.
    """
    with suppress(KeyboardInterrupt):
        raise typer.Exit(asyncio.run(_chat(url.rstrip("/"), client_key)))


async def _chat(url: str, client_key: str | None) -> int:
    """Chat until the end of the input; returns the exit status."""
    async with aiohttp.ClientSession() as http:
        try:
            key = client_key or await _new_client_key(http, url)
            await TerminalChat(http, url, key, _write).run(_read_line)
        except RequestRefused as refused:
            return _failed(str(refused))
        except aiohttp.ClientError:
            return _failed(f"Cannot reach a Privity server at {url}. Start one: privity serve")
    return 0


def _failed(why: str) -> int:
    typer.secho(f"privity: {printable(why)}", err=True, fg=typer.colors.RED)
    return _FAILED


async def _new_client_key(http: aiohttp.ClientSession, url: str) -> str:
    async with http.post(f"{url}/api/client-key", json={}) as response:
        return str((await _document(response))["clientKey"])


async def _document(response: aiohttp.ClientResponse) -> dict[str, Any]:
    """The JSON body; an empty dict if it is not JSON.

    Raises:
        RequestRefused: the response is an error.
    """
    try:
        document: dict[str, Any] = await response.json(content_type=None)
    except ValueError:
        document = {}
    if not response.ok:
        default = f"The server answered with status {response.status}."
        raise RequestRefused(document.get("detail", default))
    return document


def _write(text: str) -> None:
    typer.echo(printable(text), nl=False)


async def _read_line() -> str | None:
    """A line from the terminal; None at the end of the input."""
    try:
        return (await asyncio.to_thread(input, "\nyou > ")).strip()
    except EOFError:
        return None


@frozen(kw_only=True)
class ServerEvent:
    """One event with a JSON document; ``name`` is empty if the server sent none."""

    name: str
    document: dict[str, Any]


async def events_of(chunks: AsyncIterable[bytes]) -> AsyncIterator[ServerEvent]:
    """The events in a stream of bytes, without the final ``[DONE]``."""
    reader = SseReader()
    async for chunk in chunks:
        for event in reader.feed(chunk):
            if event.data != b"[DONE]":
                document = msgspec.json.decode(event.data)
                yield ServerEvent(name=event.name, document=document)


class TerminalChat:
    """One conversation at a time. If the server starts a new one, later messages go to that one."""

    def __init__(
        self, http: aiohttp.ClientSession, url: str, client_key: str, write: Write
    ) -> None:
        """``write`` prints the text of replies as it arrives."""
        self._http = http
        self._url = url
        self._headers = {"authorization": f"Bearer {client_key}"}
        self._write = write
        self.session_id: str | None = None

    async def run(self, read_line: Callable[[], Any]) -> None:
        """Send lines until ``read_line`` returns None or the user quits."""
        self._write(_HELP + "\n")
        while (line := await read_line()) is not None and line != "/quit":
            try:
                await self._handle(line)
            except RequestRefused as refused:
                self._write(f"({refused})\n")

    async def _handle(self, line: str) -> None:
        if line == "/forget":
            await self._forget()
        elif line == "/new":
            self.session_id = None
            self._write("(New conversation. The previous one is kept until it expires.)\n")
        elif line == "/again" and self.session_id:
            await self._stream(f"/api/chat/{self.session_id}/regenerate", {})
        elif line.startswith("/"):
            self._write(_HELP + "\n")
        elif line:
            session = {"sessionId": self.session_id} if self.session_id else {}
            await self._stream("/api/chat", {"message": line, **session})

    async def _forget(self) -> None:
        if self.session_id is not None:
            url = f"{self._url}/api/chat/{self.session_id}"
            async with self._http.delete(url, headers=self._headers) as response:
                if not response.ok:
                    await _document(response)
        self.session_id = None
        self._write("(Forgotten.)\n")

    async def _stream(self, path: str, body: dict[str, Any]) -> None:
        stops: set[asyncio.Task[None]] = set()
        started = asyncio.Event()

        async def stop() -> None:
            # Before the first event there is no reply to stop.
            await started.wait()
            await self._stop()

        def on_interrupt() -> None:
            stops.add(asyncio.create_task(stop()))

        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, on_interrupt)
        try:
            url = f"{self._url}{path}"
            async with self._http.post(url, json=body, headers=self._headers) as response:
                if not response.ok:
                    await _document(response)
                async for event in events_of(response.content.iter_any()):
                    self._show(event)
                    started.set()
        except aiohttp.ClientPayloadError:
            self._write("\n(The reply was cut off.)")
        finally:
            loop.remove_signal_handler(signal.SIGINT)
            started.set()
            await asyncio.gather(*stops, return_exceptions=True)
        self._write("\n")

    async def _stop(self) -> None:
        if self.session_id is not None:
            url = f"{self._url}/api/chat/{self.session_id}/stop"
            async with self._http.post(url, json={}, headers=self._headers):
                pass

    def _show(self, event: ServerEvent) -> None:
        document = event.document
        if event.name == "session-id":
            self.session_id = document["sessionId"]
            if document.get("restarted"):
                self._write("(The conversation no longer exists. This is a new one.)\n")
        elif document.get("type") == "text-delta":
            self._write(document["delta"])
        elif document.get("type") == "error":
            self._write(f"\n({document['errorText']})")
        elif document.get("type") == "abort":
            self._write(" (stopped)")
