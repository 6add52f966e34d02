"""Exchanges as they were recorded: what a client sent, what the model said, what was answered.

Names that are made anew each time (ids, times) are numbered in the order in which they come, so a
recording can be played to another service and its answers compared.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import define, field, frozen

from domain.model.message import FinishReason
from domain.model.piece import Piece, ReasoningPiece, TextPiece, ToolCallPiece
from tests.support.fake_model import FakeModel
from tests.support.http_client import Answer
from tests.support.native_client import NativeClient

FOLDER: Final = Path(__file__).parents[1] / "clients" / "recorded"
RECORDING: Final = os.environ.get("PRIVITY_RECORD") == "1"
_MADE_ANEW: Final = {
    "message": r"msg_[0-9a-f]{16}",
    "session": r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "turn": r"\b[0-9a-f]{32}\b",
    "time": r"\d{4}-\d\d-\d\dT[0-9:.]+Z",
}
_ANY: Final = re.compile("|".join(f"(?P<{kind}>{how})" for kind, how in _MADE_ANEW.items()))
FAILED: Final = "failed"
_FIGURES: Final = re.compile(r'("(?:latency|timestamp)": ?)\d+')


@define
class Names:
    """Numbers for names that are made anew."""

    known: dict[str, str] = field(factory=dict)

    def hidden(self, document: Any) -> Any:
        """The document with numbers instead of names."""
        text = _ANY.sub(self._number, json.dumps(document))
        return json.loads(_FIGURES.sub(r"\g<1>0", text))

    def shown(self, document: Any) -> Any:
        """The document with the names that belong to its numbers by now."""
        text = json.dumps(document)
        for name, number in self.known.items():
            text = text.replace(f"<{number}>", name)
        return json.loads(text)

    def _number(self, found: re.Match[str]) -> str:
        kind = found.lastgroup
        if kind == "time":
            return "<time>"
        same = [known for known in self.known.values() if known.startswith(f"{kind} ")]
        return "<" + self.known.setdefault(found[0], f"{kind} {len(same) + 1}") + ">"


@frozen(kw_only=True)
class Asked:
    """A request as it was recorded, and what the model said, if it was asked."""

    method: str
    path: str
    body: Any
    reply: Sequence[Sequence[str]] | None
    finish: str

    @classmethod
    def of(cls, recorded: Mapping[str, Any]) -> "Asked":
        reply, finish = recorded.get("reply"), recorded.get("finish", "stop")
        request = recorded["request"]
        return cls(**request, reply=reply, finish=finish)


def piece(kind: str, *told: str) -> Piece:
    """What the model says, from a recording."""
    if kind == "call":
        call_id, name, arguments = told
        return ToolCallPiece(call_id=call_id, name=name, arguments=arguments)
    return ReasoningPiece(*told) if kind == "reasoning" else TextPiece(*told)


async def say(fake_model: FakeModel, asked: Asked) -> None:
    """Have the puppet reply as it did."""
    if asked.reply is None:
        return
    model_reply = await fake_model.next_reply()
    for told in asked.reply:
        model_reply.send(piece(*told))
    if asked.finish == FAILED:
        model_reply.fail()
    else:
        model_reply.finish(FinishReason(asked.finish))


def rendered(answer: Answer) -> dict[str, Any]:
    """An answer without what is random or a matter of taste."""
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if kind != "text/event-stream":
        body = json.loads(answer.body) if answer.body else None
        return {"status": answer.status, "kind": kind, "body": body}
    events = [_event(event) for event in answer.events if event.data]
    return {"status": answer.status, "kind": kind, "clean": answer.clean, "events": events}


def _event(event: Any) -> dict[str, Any]:
    told = event.data if event.data == "[DONE]" else dict(event.document)
    if isinstance(told, dict):
        told.pop("obfuscation", None)
    named = {"event": event.name, "id": event.cursor}
    return {**{name: value for name, value in named.items() if value}, "data": told}


async def played(client: NativeClient, asked: Asked, names: Names) -> Answer:
    """The answer that this service gives to a recorded request."""
    path, body = names.shown(asked.path), names.shown(asked.body)
    if asked.method != "POST":
        return await client.call(asked.method, path)
    return await client.post(path, body)


def read(name: str) -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads((FOLDER / name).read_text("utf-8"))
    return recorded


def write(name: str, recorded: Mapping[str, Any]) -> None:
    text = json.dumps(recorded, indent=1, ensure_ascii=False)
    (FOLDER / name).write_text(text + "\n", "utf-8")
