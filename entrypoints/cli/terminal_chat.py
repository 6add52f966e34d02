"""A conversation in the terminal: lines become messages and commands, and replies are printed."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final
from uuid import uuid4

from entrypoints.cli.chat_client import (
    DONE_EVENT,
    ChatClient,
    ChatError,
    ClientKeyRejected,
    ConnectionLost,
    ConversationFull,
    ServerEvent,
    Unreachable,
)
from entrypoints.cli.terminal import Write, stopping_on_ctrl_c

_HELP: Final = (
    "/new starts a new conversation, /go-on starts one that continues this one, "
    "/again regenerates the last reply, "
    "/continue continues a reply that is not complete, /forget deletes the conversation, "
    "/quit exits. Ctrl-C stops a reply."
)
_RETRY_SECONDS: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
_CUT: Final[Mapping[str, str]] = {
    "length": "The reply was cut off because it reached its maximum length. "
    "/continue continues it.",
    "content-filter": "The reply was cut off by the content filter.",
    "tool-calls": "The model waits for a tool that this program cannot run. Go on without it.",
}
_EMPTY: Final[Mapping[str, str]] = {
    "length": "The model used up the maximum length before it wrote an answer.",
    "content-filter": "The content filter held back the reply.",
    "tool-calls": _CUT["tool-calls"],
}


class TerminalChat:
    """One conversation at a time. If the server starts a new one, later messages go to that one.

    Attributes:
        has_failed: whether any message or command failed.
    """

    def __init__(
        self,
        client: ChatClient,
        write: Write,
        *,
        is_interactive: bool = True,
        retry_seconds: Sequence[float] = _RETRY_SECONDS,
    ) -> None:
        """Talk to the server of ``client``.

        Args:
            client: sends the requests.
            write: prints the text of replies as it arrives.
            is_interactive: whether a person reads what is printed.
            retry_seconds: the pauses before a reply whose connection was lost is requested again.
        """
        self._client = client
        self._write = write
        self._is_interactive = is_interactive
        self._retry_seconds = retry_seconds
        self._session_id: str | None = None
        self._last_reply = ""
        self.has_failed = False

    async def begin(self) -> None:
        """Begin a conversation with the assistant's welcome, if a person is there to read it.

        Raises:
            ChatError: the server cannot be reached, or rejects the request.
        """
        if self._is_interactive:
            self._session_id, welcome = await self._client.create_session()
            self._write(f"{_HELP}\n\n{welcome}\n")

    async def handle(self, line: str) -> None:
        """Carry out a command, or send a message; a failure is printed.

        Raises:
            UserLeft: the user pressed Ctrl-C twice during a reply.
        """
        try:
            await self._carry_out(line)
        except ConversationFull:
            self.has_failed = True
            self._write("(This conversation is full. /go-on continues it in a new one.)\n")
        except ChatError as error:
            self.has_failed = True
            self._write(f"({error})\n")

    async def _carry_out(self, line: str) -> None:
        if line == "/forget":
            await self._forget()
        elif line == "/new":
            self._session_id, self._last_reply = None, ""
            self._write("(New conversation. The previous one is kept until it expires.)\n")
            await self.begin()
        elif line == "/go-on":
            await self._go_on()
        elif line == "/again":
            await self._regenerate()
        elif line == "/continue":
            await self._continue_reply()
        elif line.startswith("/"):
            unknown = "" if line == "/help" else "(There is no such command.)\n"
            self._write(f"{unknown}{_HELP}\n")
        elif line:
            session = {"sessionId": self._session_id} if self._session_id else {}
            await self._show_reply("/api/chat", {"message": line, **session})

    async def _go_on(self) -> None:
        if self._session_id is None:
            self._write("(There is no conversation to continue.)\n")
        else:
            self._session_id = await self._client.continue_session(self._session_id)
            self._last_reply = ""
            self._write("(This new conversation continues the previous one.)\n")

    async def _regenerate(self) -> None:
        if self._session_id is None:
            self._write("(There is no reply yet.)\n")
        else:
            await self._show_reply(f"/api/chat/{self._session_id}/regenerate", {})

    async def _continue_reply(self) -> None:
        if self._session_id is None or not self._last_reply:
            self._write("(There is no reply to continue.)\n")
        else:
            path = f"/api/chat/{self._session_id}/continue"
            await self._show_reply(path, {}, self._last_reply)

    async def _forget(self) -> None:
        if self._session_id is not None:
            await self._client.forget(self._session_id)
        self._session_id, self._last_reply = None, ""
        self._write("(Forgotten.)\n")

    async def _show_reply(self, path: str, body: Mapping[str, Any], printed: str = "") -> None:
        """Print the reply to a request, but not what was ``printed`` before. Ctrl-C stops it."""
        printer = ReplyPrinter(self._write, shows_notes=self._is_interactive, printed=printed)

        async def stop() -> None:
            # Before the first event there is no reply to stop.
            await printer.started.wait()
            if printer.session_id is not None:
                await self._client.stop(printer.session_id)

        try:
            async with stopping_on_ctrl_c(stop):
                await self._print_reply(path, body, printer)
        finally:
            self._session_id = printer.session_id or self._session_id
            self._last_reply = printer.text or self._last_reply
            printer.end_line()

    async def _print_reply(
        self, path: str, body: Mapping[str, Any], printer: "ReplyPrinter"
    ) -> None:
        """Print the whole reply; after a lost connection, request it again.

        A server that rejects the key that it created has forgotten it in a restart. Then the
        request is sent again with a new key.
        """
        idempotency_key = uuid4().hex
        pauses = iter(self._retry_seconds)
        is_sent = has_new_key = False
        while True:
            try:
                events = self._client.reply(path, body, idempotency_key)
                return await printer.print_events(events)
            except ClientKeyRejected:
                if self._client.has_own_key or has_new_key:
                    raise
                has_new_key = True
                await self._client.create_client_key()
            except ConnectionLost as lost:
                is_sent = is_sent or not isinstance(lost, Unreachable)
                pause = next(pauses, None)
                if pause is None or not is_sent:
                    raise
                await asyncio.sleep(pause)


class ReplyPrinter:
    """Prints a reply as it arrives. If it is replayed, what was printed is not printed again.

    Attributes:
        started: set by the first event.
        session_id: the conversation of the reply; None before the first event.
    """

    def __init__(self, write: Write, *, shows_notes: bool, printed: str = "") -> None:
        """``write`` prints text. With ``shows_notes``, it also prints what is not the reply's text.

        These are lines which say that the model thinks or that the service runs a tool, and the
        sources. ``printed`` is the beginning of the reply, if that was printed before.
        """
        self._write = write
        self._shows_notes = shows_notes
        self._notes: set[str] = set()
        self._sources: dict[str, str] = {}
        self._printed = [printed]
        self._still_to_replay = ""
        self._is_line_open = False
        self._has_text = self._is_separated = False
        self.started = asyncio.Event()
        self.session_id: str | None = None

    @property
    def text(self) -> str:
        """The text of the reply so far."""
        return "".join(self._printed)

    async def print_events(self, events: AsyncGenerator[ServerEvent, None]) -> None:
        """Print the events of the reply, from its beginning to its end.

        Raises:
            ConnectionLost: the events end before the reply does.
            ChatError: the reply failed.
        """
        self._still_to_replay = self.text
        self._has_text = self._is_separated = False
        async with aclosing(events):
            async for event in events:
                self._print(event)
                self.started.set()
                if event is DONE_EVENT:
                    return
        raise ConnectionLost("The reply was cut off.")

    def _print(self, event: ServerEvent) -> None:
        document = event.document
        match document.get("type", event.name):
            case "session-id":
                self._begin(document)
            case "reasoning-delta":
                self._print_note("(Thinking …)")
            case "tool-input-start" if document.get("providerExecuted"):
                self._print_tool(document)
            case "source-url" | "source-document":
                self._sources[str(document.get("sourceId"))] = _described(document)
            case "start-step":
                self._is_separated = self._has_text
            case "text-delta":
                self._print_text(self._separated(str(document.get("delta", ""))))
            case "finish" | "abort" | "error" as end:
                self._print_end(end, document)

    def _print_end(self, end: str, document: Mapping[str, Any]) -> None:
        """Print how the reply ended, and its sources.

        Raises:
            ChatError: the reply failed.
        """
        if end == "error":
            raise ChatError(str(document.get("errorText", "The reply failed.")))
        if end == "abort":
            self._write(" (stopped)")
            self._is_line_open = True
        else:
            self._print_reason(str(document.get("finishReason", "")))
        if self._sources and self._shows_notes:
            self.end_line()
            for number, source in enumerate(self._sources.values(), 1):
                self._write(f"[{number}] {source}\n")

    def _begin(self, document: Mapping[str, Any]) -> None:
        if self.session_id is None and document.get("restarted"):
            self._write("(The conversation no longer exists. This is a new one.)\n")
        self.session_id = str(document["sessionId"])

    def _print_note(self, note: str, key: str = "") -> None:
        """Print a line, but only once, even if the reply is replayed."""
        if self._shows_notes and key not in self._notes:
            self.end_line()
            self._write(f"{note}\n")
        self._notes.add(key)

    def _print_tool(self, document: Mapping[str, Any]) -> None:
        name = _one_line(document.get("toolName"))
        self._print_note(f"(Using {name} …)", str(document.get("toolCallId")))

    def _separated(self, delta: str) -> str:
        """The text, after a blank line if it is the first of another step."""
        separated = f"\n\n{delta}" if delta and self._is_separated else delta
        self._is_separated = self._is_separated and not delta
        self._has_text = self._has_text or bool(delta)
        return separated

    def _print_text(self, delta: str) -> None:
        replayed = self._still_to_replay
        if delta and not replayed.startswith(delta):
            if delta.startswith(replayed):
                self._write_text(delta.removeprefix(replayed))
            else:
                # The process died before it had stored what was printed.
                before = self.text.removesuffix(replayed)
                self._printed.clear()
                self._write("\n(The reply begins again.)\n")
                self._write_text(before + delta)
        self._still_to_replay = replayed.removeprefix(delta) if replayed.startswith(delta) else ""

    def _write_text(self, text: str) -> None:
        is_after_note = any(self._printed) and not self._is_line_open
        self._printed.append(text)
        self._write(text.lstrip("\n") if is_after_note else text)
        self._is_line_open = True

    def _print_reason(self, reason: str) -> None:
        """Say why the reply ended, unless it is complete."""
        is_empty = not self.text.strip()
        note = _EMPTY.get(reason, "The model sent no text.") if is_empty else _CUT.get(reason)
        if note is not None:
            self.end_line()
            self._write(f"({note})\n")

    def end_line(self) -> None:
        """End the line if anything is on it."""
        if self._is_line_open:
            self._write("\n")
        self._is_line_open = False


def _described(source: Mapping[str, Any]) -> str:
    """The title of a source, and its URL if it has one."""
    return " ".join(filter(None, map(_one_line, (source.get("title"), source.get("url")))))


def _one_line(text: object) -> str:
    return " ".join(str(text or "").split())
