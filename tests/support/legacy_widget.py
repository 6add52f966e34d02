"""The protocol side of the older widget: what it sends, and how it reads a stream.

Its parser splits at line feeds only, prefers a ``type`` in the data to the event's name, and
ignores unknown events, including errors.
"""

import json
from collections.abc import Iterator
from typing import Any

from attrs import define, field

from tests.support.http_client import Answer
from tests.support.native_client import NativeClient

SORRY = "Sorry, there was an error."


@define
class Widget:
    """One widget in one browser."""

    client: NativeClient
    client_id: str = "9a1c7d52-6f0e-4c83-9f4e-2f7b1f6a0c11"
    session_id: str | None = None
    shown: list[tuple[str, str]] = field(factory=list)
    metadata: list[dict[str, Any]] = field(factory=list)
    contexts: list[dict[str, Any]] = field(factory=list)

    def body(self, text: str, context: Any = None) -> dict[str, Any]:
        """The body as the widget writes it: undefined members are left out."""
        optional = {"sessionId": self.session_id, "questionContext": context}
        defined = {name: value for name, value in optional.items() if value is not None}
        return {"message": text, "clientId": self.client_id, **defined}

    async def send(self, text: str, context: Any = None, *, at: str = "/api/chat") -> Answer:
        answer = await self.client.post(at, self.body(text, context))
        self.show(text, answer)
        return answer

    def show(self, text: str, answer: Answer) -> None:
        """Show a message and the complete response to it."""
        self.shown += [("user", text), ("assistant", "")]
        if answer.status == 200:
            for kind, payload in events(answer.body):
                self._handle(kind, payload)
        if answer.status != 200 or not answer.clean:
            self.shown.append(("assistant", SORRY))

    def _handle(self, kind: str, payload: dict[str, Any]) -> None:
        if kind == "session-id":
            self.session_id = payload["sessionId"]
        elif kind == "text-delta":
            role, content = self.shown[-1]
            self.shown[-1] = (role, content + payload["delta"])
        elif kind == "metadata-info":
            self.metadata.append(payload)
        elif kind == "rag-contexts":
            self.contexts += payload["contexts"]

    @property
    def shown_contexts(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """The searches in the development view, each with the sources and texts of its results.

        The view formats some members as numbers, and fails without them.
        """
        return [
            (f"{search['canonicalQuery']} ({search['durationMs']:.0f} ms)", _results(search))
            for search in self.contexts
        ]

    @property
    def shown_times(self) -> list[str]:
        """The times of each reply in the development view."""
        names = ("retrievalDuration", "timeToFirstToken", "messageTime", "totalTime")
        return [
            " ".join(f"{info['latency'][name]:.0f}" for name in names) for info in self.metadata
        ]

    async def reload(self) -> None:
        """Show the history, or nothing if it is gone."""
        self.shown = []
        if self.session_id is None:
            return
        answer = await self.client.get(f"/api/chat?sessionId={self.session_id}")
        if answer.status == 200:
            messages = answer.document["messages"]
            self.shown = [(message["role"], message["content"]) for message in messages]
        elif answer.status == 404:
            self.session_id = None

    async def reset(self) -> None:
        await self.client.delete(f"/api/chat?sessionId={self.session_id}")
        self.session_id, self.shown = None, []


def _results(search: dict[str, Any]) -> list[tuple[str, str]]:
    results = search["searchResult"]["results"]
    assert all(result["vectorSearchScore"] >= 0 for result in results)
    segments = [result["segment"] for result in results]
    return [(segment["metadata"]["source"], segment["content"]) for segment in segments]


def events(body: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events that the widget's parser reads from a stream."""
    name, data = "", ""
    for line in body.decode().split("\n")[:-1]:
        if line.startswith("event:"):
            name = line[6:].strip()
        elif line.startswith("data:"):
            data += line[5:].lstrip() + "\n"
        elif not line:
            raw, event_name, name, data = data.strip(), name, "", ""
            if raw == "[DONE]":
                yield "finish", {}
            elif raw:
                payload = json.loads(raw)
                yield payload.get("type") or event_name, payload
