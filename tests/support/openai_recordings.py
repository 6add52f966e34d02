"""Recorded exchanges between OpenAI's own packages and a served Privity.

Ids and times differ each time, so a recording holds ``<conv 1>`` for the first conversation,
``<msg 2>`` for the second message, and 0 for times. Random padding is left out.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from tests.support.event_stream import events_in
from tests.support.http_client import Answer, Client

FOLDER = Path(__file__).parents[1] / "openai_clients" / "recorded"
_ID = re.compile(r"\b(chatcmpl|conv|resp|msg|rs|fc|fco)[_-][0-9a-f]{16,48}(?:_\d+)?\b")
_NAME = re.compile(r"<(?:chatcmpl|conv|resp|msg|rs|fc|fco) \d+>")
_TIMES = ("created", "created_at", "completed_at")


@frozen(kw_only=True)
class Exchange:
    """One request of a package and the response; a stream is the list of its events."""

    method: str
    path: str
    body: Any
    status: int
    answer: Any

    def document(self) -> dict[str, Any]:
        members = ("method", "path", "body", "status", "answer")
        return {name: getattr(self, name) for name in members}


@define
class Names:
    """Names for ids, numbered in the order in which they appear."""

    by_id: dict[str, str] = field(factory=dict)

    def named(self, document: Any) -> Any:
        """The document with names instead of ids, without times and padding."""
        return json.loads(_ID.sub(self._name_of, json.dumps(_timeless(document))))

    def real(self, document: Any) -> Any:
        """The document with ids instead of names."""
        ids = {name: identifier for identifier, name in self.by_id.items()}
        return json.loads(_NAME.sub(lambda found: ids[found[0]], json.dumps(document)))

    def _name_of(self, found: re.Match[str]) -> str:
        if found[0] not in self.by_id:
            met = sum(name.startswith(f"<{found[1]} ") for name in self.by_id.values())
            self.by_id[found[0]] = f"<{found[1]} {met + 1}>"
        return self.by_id[found[0]]


def _timeless(document: Any) -> Any:
    if isinstance(document, list):
        return [_timeless(one) for one in document]
    if not isinstance(document, dict):
        return document
    members = {name: value for name, value in document.items() if name != "obfuscation"}
    return {
        name: 0 if name in _TIMES and value is not None else _timeless(value)
        for name, value in members.items()
    }


def recordable(answer: Answer) -> Any:
    """An answer as it is recorded."""
    if answer.headers["content-type"].startswith("text/event-stream"):
        events = [event for event in events_in(answer.body) if event.data]
        return [event.document if event.data != "[DONE]" else "[DONE]" for event in events]
    return answer.document


async def replay(client: Client, recording: Sequence[Exchange]) -> list[Exchange]:
    """Send the recorded requests again; returns them with the new responses."""
    names, today = Names(), []
    for exchange in recording:
        path, body = names.real([exchange.path, exchange.body])
        sent = None if body is None else json.dumps(body).encode()
        typed = {} if body is None else {"content_type": "application/json"}
        answer = await client.call(exchange.method, path, sent, **typed)
        named = names.named(recordable(answer))
        today.append(
            Exchange(
                method=exchange.method,
                path=exchange.path,
                body=exchange.body,
                status=answer.status,
                answer=named,
            )
        )
    return today


def recording(name: str) -> list[Exchange]:
    document = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    return [Exchange(**one) for one in document["exchanges"]]
