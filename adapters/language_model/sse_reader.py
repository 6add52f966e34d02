"""Reading server-sent events from a byte stream; no I/O of its own.

    event: session-id
    data: {"sessionId":"…"}

    data: [DONE]

Source: the HTML standard, section "Server-sent events", with one difference: each ``data`` line is
an event of its own, named by an ``event`` line above it. All our documents are on one line.
"""

import re
from typing import Final

from attrs import frozen

_LINE_END: Final = re.compile(rb"\r\n|\r|\n")


@frozen
class ServerSentEvent:
    """One event; ``name`` is empty if it has none, ``data`` is never empty."""

    name: str
    data: bytes


class SseReader:
    """Splits a byte stream into events, however the bytes are split into reads."""

    def __init__(self) -> None:
        """Start at the beginning of a stream."""
        self._unfinished_line = b""
        self._ended_with_cr = False
        self._name = ""

    @property
    def unfinished_bytes(self) -> int:
        """The length of the line whose end has not arrived yet."""
        return len(self._unfinished_line)

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """Return the events that ``data`` completes; comments and unknown fields are skipped."""
        if not data:
            return []
        if self._ended_with_cr:
            # A CRLF split between two reads is one line end; two line ends would end the event.
            data = data.removeprefix(b"\n")
        self._ended_with_cr = data.endswith(b"\r")
        *lines, self._unfinished_line = _LINE_END.split(self._unfinished_line + data)
        return [event for line in lines if (event := self._read_line(line)) is not None]

    def _read_line(self, line: bytes) -> ServerSentEvent | None:
        field, _, value = line.partition(b":")
        value = value.strip()
        if field == b"data" and value:
            return ServerSentEvent(self._name, value)
        if field == b"event":
            self._name = value.decode(errors="replace")
        elif not line:
            self._name = ""
        return None
