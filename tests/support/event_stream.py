"""Parses event streams and keeps the raw bytes of each event."""

import json
from collections.abc import Sequence
from typing import Any

from attrs import frozen


@frozen(kw_only=True)
class Event:
    """One event of a stream, or a comment; ``raw`` is exactly what was received."""

    raw: bytes
    name: str = ""
    cursor: str = ""
    data: str = ""

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.data)
        return document

    @property
    def kind(self) -> str:
        """Its name, its chunk type or ``[DONE]``; for a comment, the whole comment."""
        if not self.data:
            return self.raw.decode().strip()
        return self.data if self.data == "[DONE]" else self.name or str(self.document["type"])


def event_of(raw: bytes) -> Event:
    lines = raw.decode().removesuffix("\n\n").split("\n")
    members = dict(line.split(": ", 1) for line in lines)
    cursor, data = members.get("id", ""), members.get("data", "")
    return Event(raw=raw, name=members.get("event", ""), cursor=cursor, data=data)


def events_in(body: bytes) -> list[Event]:
    *complete, rest = body.split(b"\n\n")
    assert rest == b"", "a stream must end with a complete event"
    return [event_of(raw + b"\n\n") for raw in complete]


def kinds(events: Sequence[Event]) -> list[str]:
    return [event.kind for event in events]


def cursors(events: Sequence[Event]) -> list[str]:
    return [event.cursor for event in events if event.cursor]


def text_of(events: Sequence[Event]) -> str:
    chunks = [event.document for event in events if event.data.startswith("{")]
    return "".join(chunk["delta"] for chunk in chunks if chunk.get("type") == "text-delta")


def documents(events: list[Event], kind: str) -> list[dict[str, Any]]:
    return [event.document for event in events if event.kind == kind]


def without_padding(events: Sequence[Event]) -> list[tuple[str, dict[str, Any] | str]]:
    """Cursor and chunk of each event, without random padding and without comments."""
    return [(event.cursor, _chunk(event)) for event in events if event.data]


def _chunk(event: Event) -> dict[str, Any] | str:
    if not event.data.startswith("{"):
        return event.data
    return {name: value for name, value in event.document.items() if name != "obfuscation"}
