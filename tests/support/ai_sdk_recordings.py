"""Recorded exchanges: what a client sent, what the model replied, what the service responded.

Values that differ each time (ids, times) are numbered in the order in which they appear, so a
recording can be replayed to another service and the responses compared.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import define, field, frozen

from domain.model.message import FinishReason
from domain.model.piece import ModelPiece, ReasoningPiece, TextPiece, ToolCallPiece
from tests.support.fake_model import FakeModel
from tests.support.http_client import Answer
from tests.support.native_client import NativeClient

FOLDER: Final = Path(__file__).parents[1] / "clients" / "recorded"
RECORDING: Final = os.environ.get("PRIVITY_RECORD") == "1"
_VARYING: Final = {
    "message": r"msg_[0-9a-f]{16}",
    "session": r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "turn": r"\b[0-9a-f]{32}\b",
    "time": r"\d{4}-\d\d-\d\dT[0-9:.]+Z",
}
_ANY: Final = re.compile("|".join(f"(?P<{kind}>{how})" for kind, how in _VARYING.items()))
FAILED: Final = "failed"
_MEASUREMENTS: Final = re.compile(
    r'("(?:latency|timestamp|timeToFirstToken|messageTime|totalTime)": ?)\d+'
)


@define
class Names:
    """Numbers for values that differ each time."""

    numbers: dict[str, str] = field(factory=dict)

    def hidden(self, document: Any) -> Any:
        """The document with numbers instead of values."""
        text = _ANY.sub(self._number, json.dumps(document))
        return json.loads(_MEASUREMENTS.sub(r"\g<1>0", text))

    def shown(self, document: Any) -> Any:
        """The document with the values that belong to its numbers in this run."""
        text = json.dumps(document)
        for value, number in self.numbers.items():
            text = text.replace(f"<{number}>", value)
        return json.loads(text)

    def _number(self, match: re.Match[str]) -> str:
        kind = match.lastgroup
        if kind == "time":
            return "<time>"
        same_kind = [name for name in self.numbers.values() if name.startswith(f"{kind} ")]
        return "<" + self.numbers.setdefault(match[0], f"{kind} {len(same_kind) + 1}") + ">"


@frozen(kw_only=True)
class RecordedRequest:
    """A recorded request, and the model's reply if the model was called."""

    method: str
    path: str
    body: Any
    reply: Sequence[Sequence[str]] | None
    finish: str

    @classmethod
    def of(cls, exchange: Mapping[str, Any]) -> "RecordedRequest":
        reply, finish = exchange.get("reply"), exchange.get("finish", "stop")
        return cls(**exchange["request"], reply=reply, finish=finish)


def piece(kind: str, *content: str) -> ModelPiece:
    """A piece of the model's recorded reply."""
    if kind == "call":
        call_id, name, arguments = content
        return ToolCallPiece(call_id=call_id, name=name, arguments=arguments)
    return ReasoningPiece(*content) if kind == "reasoning" else TextPiece(*content)


async def reply_as_recorded(fake_model: FakeModel, request: RecordedRequest) -> None:
    """Give the model's recorded reply."""
    if request.reply is None:
        return
    model_reply = await fake_model.next_reply()
    for recorded_piece in request.reply:
        model_reply.send(piece(*recorded_piece))
    if request.finish == FAILED:
        model_reply.fail()
    else:
        model_reply.finish(FinishReason(request.finish))


def rendered(answer: Answer) -> dict[str, Any]:
    """The parts of a response that must not differ."""
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if kind != "text/event-stream":
        body = json.loads(answer.body) if answer.body else None
        return {"status": answer.status, "kind": kind, "body": body}
    events = [_event(event) for event in answer.events if event.data]
    return {"status": answer.status, "kind": kind, "clean": answer.clean, "events": events}


def _event(event: Any) -> dict[str, Any]:
    data = event.data if event.data == "[DONE]" else dict(event.document)
    if isinstance(data, dict):
        data.pop("obfuscation", None)
    fields = {"event": event.name, "id": event.cursor}
    return {**{name: value for name, value in fields.items() if value}, "data": data}


async def replay(client: NativeClient, request: RecordedRequest, names: Names) -> Answer:
    """The service's response to a recorded request."""
    path, body = names.shown(request.path), names.shown(request.body)
    if request.method != "POST":
        return await client.call(request.method, path)
    return await client.post(path, body)


def read(name: str) -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads((FOLDER / name).read_text("utf-8"))
    return recorded


def write(name: str, recorded: Mapping[str, Any]) -> None:
    text = json.dumps(recorded, indent=1, ensure_ascii=False)
    (FOLDER / name).write_text(text + "\n", "utf-8")
