"""Turns as OpenAI's response documents."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

import msgspec
from attrs import frozen

from domain.model.conversation import RETENTION, Conversation
from domain.model.identifiers import MessageId, SessionId
from domain.model.message import (
    FinishReason,
    Part,
    PromptReport,
    ToolResultPart,
    UnknownPart,
    Usage,
)
from domain.model.turn import Outcome, TurnEnd, TurnStatus
from domain.service.item_editing import reply_parts
from domain.service.reply_reading import ReadTurn
from entrypoints.http.openai.documents import ResponseDocument, ResponseStatus
from entrypoints.http.openai.items import NOTE_KIND, reply_items, response_id, with_encrypted
from entrypoints.http.openai.parameters import MESSAGES_SEEN, problem_of_end

_INCOMPLETE_REASONS: Final[Mapping[FinishReason | None, str]] = MappingProxyType(
    {
        FinishReason.LENGTH: "max_output_tokens",
        FinishReason.CONTENT_FILTER: "content_filter",
    }
)
_ERROR_CODES: Final[Mapping[str, str]] = MappingProxyType(
    {"model_busy": "rate_limit_exceeded", "model_content_filtered": "invalid_prompt"}
)
_TEXT: Final[Mapping[str, Any]] = MappingProxyType({"format": {"type": "text"}})
_REASONING: Final[Mapping[str, Any]] = MappingProxyType({"effort": None, "summary": None})


@frozen(kw_only=True)
class ResponseSkeleton:
    """The members of a response that do not depend on its reply.

    Attributes:
        echo: the parameters of the request that the response echoes.
        tools: the tools of the request.
        encrypted: whether reasoning has a member for its encrypted content.
    """

    id: str
    created_at: datetime
    model: str
    echo: Mapping[str, Any]
    tools: Sequence[Any] = ()
    store: bool = True
    encrypted: bool = False

    def document(self, status: ResponseStatus, **members: Any) -> ResponseDocument:
        """The response with this status; ``members`` are those that depend on its reply."""
        return ResponseDocument(
            id=self.id,
            created_at=int(self.created_at.timestamp()),
            status=status,
            model=self.model,
            tools=list(self.tools),
            store=self.store,
            **{
                **self.echo,
                "text": {**_TEXT, **self.echo.get("text", {})},
                "reasoning": {**_REASONING, **self.echo.get("reasoning", {})},
                **members,
            },
        )

    def ended(self, end: TurnEnd, output: Sequence[Any], at: datetime) -> ResponseDocument:
        """The response of a turn that ended with ``end``.

        ``at`` is when it was read, for an end that does not say when the reply was stored.
        """
        status = status_of(end)
        members: dict[str, Any] = {"output": list(output), "usage": _usage_document(end.usage)}
        if end.prompt_report is not None:
            members |= self._as_used(end.prompt_report)
        if status == "completed":
            # The retention was restarted when the reply was stored.
            stored_at = at if end.expires_at is None else end.expires_at - RETENTION
            members["completed_at"] = int(stored_at.timestamp())
        if status == "failed":
            members["error"] = _error(end)
        if status == "incomplete":
            members["incomplete_details"] = {"reason": _INCOMPLETE_REASONS[end.finish_reason]}
        return self.document(status, **members)

    def _as_used(self, report: PromptReport) -> dict[str, Any]:
        """The echoed parameters without options that were dropped, and what the model saw."""
        text = {**_TEXT, **self.echo.get("text", {})}
        dropped: Mapping[str, dict[str, Any]] = {
            "effort": {"reasoning": dict(_REASONING)},
            "verbosity": {"text": {"format": text["format"]}},
            "parallel_tool_calls": {"parallel_tool_calls": True},
        }
        members = {
            name: value
            for option in report.dropped_options
            for name, value in dropped.get(option, {}).items()
        }
        if not report.sees_all:
            seen = f"{report.messages_seen} of {report.messages_total}"
            members["metadata"] = {**self.echo.get("metadata", {}), MESSAGES_SEEN: seen}
        return members


def status_of(end: TurnEnd) -> ResponseStatus:
    """The status of a response whose turn ended with ``end``."""
    if not end.is_complete:
        return "failed"
    if end.outcome is Outcome.INTERRUPTED:
        return "cancelled"
    return "incomplete" if end.finish_reason in _INCOMPLETE_REASONS else "completed"


def item_status(end: TurnEnd) -> str:
    """The status of the items of a turn that ended with ``end``."""
    return "completed" if end.outcome is Outcome.FINISHED else "incomplete"


def stored_response(
    conversation: Conversation, turn: ReadTurn, model: str, *, encrypted: bool = False
) -> ResponseDocument:
    """The response for a stored turn."""
    skeleton = stored_skeleton(conversation, turn, model, encrypted=encrypted)
    if turn.status is TurnStatus.OPEN:
        return skeleton.document("in_progress")
    end, reply = stored_end(turn), turn.reply
    if reply is None:
        return skeleton.ended(end, [], skeleton.created_at)
    output = output_items(
        conversation.id, reply.id, reply_parts(reply), item_status(end), encrypted=encrypted
    )
    return skeleton.ended(end, output, reply.created_at)


def stored_skeleton(
    conversation: Conversation, turn: ReadTurn, model: str, *, encrypted: bool = False
) -> ResponseSkeleton:
    """The members of a stored turn's response that do not depend on its reply."""
    return ResponseSkeleton(
        id=response_id(conversation.id, turn.number),
        created_at=turn.started_at,
        model=model,
        echo=_stored_echo(turn.notes),
        encrypted=encrypted,
    )


def output_items(
    session_id: SessionId,
    reply_id: MessageId,
    parts: Sequence[Part],
    status: str,
    *,
    encrypted: bool = False,
) -> list[dict[str, Any]]:
    """The items of a reply; the results of functions are left out, because the client sent them."""
    items = reply_items(session_id, reply_id, parts, status)
    return [
        with_encrypted(item) if encrypted else item
        for index, item in items
        if not isinstance(parts[index], ToolResultPart)
    ]


def stored_end(turn: ReadTurn) -> TurnEnd:
    """How a stored turn, which is not open, ended."""
    error = turn.error or "turn_abandoned" if turn.status is TurnStatus.FAILED else None
    return TurnEnd(
        outcome=Outcome(turn.status.value),
        finish_reason=turn.reply.finish_reason if turn.reply else None,
        usage=turn.reply.usage if turn.reply else None,
        error=error,
        prompt_report=turn.reply.prompt_report if turn.reply else None,
    )


def _stored_echo(notes: Sequence[UnknownPart]) -> Mapping[str, Any]:
    for note in notes:
        part = msgspec.json.decode(note.json)
        if isinstance(part, dict) and part.get("type") == NOTE_KIND:
            # A newer release may have stored parameters that this one does not have.
            names = ResponseDocument.__struct_fields__
            return {name: value for name, value in part["data"].items() if name in names}
    return {}


def _usage_document(usage: Usage | None) -> dict[str, Any] | None:
    if usage is None:
        return None
    input_tokens, output_tokens = usage.input_tokens or 0, usage.output_tokens or 0
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_input_tokens or 0,
            "cache_write_tokens": 0,
        },
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": input_tokens + output_tokens,
    }


def _error(end: TurnEnd) -> dict[str, str]:
    code = _ERROR_CODES.get(end.error or "", "server_error")
    return {"code": code, "message": problem_of_end(end).detail}
