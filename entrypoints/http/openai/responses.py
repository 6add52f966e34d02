"""A turn as a response: the document that OpenAI's clients know."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

import msgspec
from attrs import frozen

from domain.model.conversation import Conversation
from domain.model.identifiers import MessageId
from domain.model.message import FinishReason, Part, ToolResultPart, UnknownPart, Usage
from domain.model.turn import Outcome, TurnEnd, TurnStatus
from domain.service.item_editing import reply_parts
from domain.service.reply_reading import ReadTurn
from entrypoints.http.openai.items import NOTE_KIND, part_item, response_id
from entrypoints.http.problems import user_message

_INCOMPLETE: Final[Mapping[FinishReason, str]] = MappingProxyType(
    {
        FinishReason.LENGTH: "max_output_tokens",
        FinishReason.CONTENT_FILTER: "content_filter",
    }
)
_DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "safety_identifier": None,
        "service_tier": "default",
        "background": False,
        "temperature": None,
        "top_p": None,
        "presence_penalty": 0,
        "frequency_penalty": 0,
        "top_logprobs": 0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "truncation": "auto",
        "usage": None,
        "metadata": {},
        "conversation": None,
    }
)


@frozen(kw_only=True)
class ResponseSkeleton:
    """What of a response is known before its reply.

    Attributes:
        echo: what it repeats of what it was asked with.
    """

    id: str
    created_at: datetime
    model: str
    echo: Mapping[str, Any]
    tools: Sequence[Any] = ()
    store: bool = True

    def document(self, status: str, **members: Any) -> dict[str, Any]:
        """The response in this status."""
        text = {**_DEFAULTS["text"], **self.echo.get("text", {})}
        return {
            "id": self.id,
            "object": "response",
            "created_at": int(self.created_at.timestamp()),
            "completed_at": None,
            "status": status,
            **_DEFAULTS,
            "model": self.model,
            **self.echo,
            "text": text,
            "reasoning": {"effort": None, "summary": None, **self.echo.get("reasoning", {})},
            "tools": list(self.tools),
            "store": self.store,
            **members,
        }

    def ended(self, end: TurnEnd, output: Sequence[Any], at: datetime) -> dict[str, Any]:
        """The response once its turn has ended."""
        status = status_of(end)
        return self.document(
            status,
            output=list(output),
            usage=usage_document(end.usage),
            completed_at=int(at.timestamp()) if status == "completed" else None,
            error=_error(end) if status == "failed" else None,
            incomplete_details=_incomplete(end) if status == "incomplete" else None,
        )


def status_of(end: TurnEnd) -> str:
    """How a turn's end is called."""
    if not end.is_complete:
        return "failed"
    if end.outcome is Outcome.INTERRUPTED:
        return "cancelled"
    return "incomplete" if end.finish_reason in _INCOMPLETE else "completed"


def item_status(end: TurnEnd) -> str:
    """How the items of a turn that ended so are called."""
    return "completed" if end.outcome is Outcome.FINISHED else "incomplete"


def usage_document(usage: Usage | None) -> dict[str, Any] | None:
    """What the reply cost, absent when the model told nothing."""
    if usage is None:
        return None
    put_in, put_out = usage.input_tokens or 0, usage.output_tokens or 0
    return {
        "input_tokens": put_in,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": put_out,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": put_in + put_out,
    }


def stored_response(conversation: Conversation, turn: ReadTurn, model: str) -> dict[str, Any]:
    """The response that a stored turn is."""
    frame = stored_frame(conversation, turn, model)
    if turn.status is TurnStatus.OPEN:
        return frame.document("in_progress")
    end, reply = _end_of(turn), turn.reply
    if reply is None:
        return frame.ended(end, [], frame.created_at)
    output = output_items(reply.id, reply_parts(reply), item_status(end))
    return frame.ended(end, output, reply.created_at)


def stored_frame(conversation: Conversation, turn: ReadTurn, model: str) -> ResponseSkeleton:
    """What of a stored turn is known before its reply."""
    return ResponseSkeleton(
        id=response_id(conversation.id, turn.number),
        created_at=turn.started_at,
        model=model,
        echo=_echo(turn.notes),
    )


def _end_of(turn: ReadTurn) -> TurnEnd:
    error = turn.error or "turn_abandoned" if turn.status is TurnStatus.FAILED else None
    return TurnEnd(
        outcome=Outcome(turn.status.value),
        finish_reason=turn.reply.finish_reason if turn.reply else None,
        usage=turn.reply.usage if turn.reply else None,
        error=error,
    )


def output_items(reply_id: MessageId, parts: Sequence[Part], status: str) -> list[dict[str, Any]]:
    """What the model said; what tools answered in between was put in by the client."""
    said = [(at, part) for at, part in enumerate(parts) if not isinstance(part, ToolResultPart)]
    items = [part_item(reply_id, at, part, status) for at, part in said]
    return [item for item in items if item is not None]


def _echo(notes: Sequence[UnknownPart]) -> Mapping[str, Any]:
    for note in notes:
        kept = msgspec.json.decode(note.json)
        if isinstance(kept, dict) and kept.get("type") == NOTE_KIND:
            echo: Mapping[str, Any] = kept["data"]
            return echo
    return {}


def _error(end: TurnEnd) -> dict[str, Any]:
    code = end.error or "internal_error"
    known = {"model_busy": "rate_limit_exceeded", "model_content_filtered": "invalid_prompt"}
    return {"code": known.get(code, "server_error"), "message": user_message(code)}


def _incomplete(end: TurnEnd) -> dict[str, Any]:
    return {"reason": _INCOMPLETE.get(end.finish_reason or FinishReason.OTHER)}
