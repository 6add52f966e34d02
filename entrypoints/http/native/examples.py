"""Examples of the native protocol's bodies, documents and streams, for the OpenAPI document."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from entrypoints.http.documents import (
    ClientKeyDocument,
    ConversationInfoDocument,
    ExportDocument,
    HistoryDocument,
    ReplyDocument,
    SessionDocument,
    StopDocument,
)
from entrypoints.http.native.bodies import (
    ChatBody,
    ContinueBody,
    EmptyBody,
    PatchBody,
    RegenerateBody,
    SessionBody,
    StopBody,
    ToolResultsBody,
)
from entrypoints.http.sse import DONE, event
from entrypoints.http.stream_documents import REPLY_EVENTS, RESUMED_EVENTS

_SESSION: Final = "0a9efcbb-7f63-4a82-9119-db150eaa45b6"
_TURN: Final = "664a8465c80d96e02c2bcc589f817acd"
_CREATED: Final = "2026-11-23T14:23:14.036017Z"
_EXPIRES: Final = "2026-11-24T14:23:14.851816Z"
_USAGE: Final = {"inputTokens": 12, "outputTokens": 2}
_QUESTION: Final = {
    "id": "msg_c9929d963ca0abda",
    "role": "user",
    "content": "How high is Kilimanjaro?",
    "parts": [{"type": "text", "text": "How high is Kilimanjaro?"}],
    "status": "finished",
    "finishReason": None,
    "createdAt": _CREATED,
}
_REPLY: Final = {
    "id": "msg_0efe688835035b24",
    "role": "assistant",
    "content": "5,895 metres.",
    "parts": [{"type": "text", "text": "5,895 metres."}],
    "status": "finished",
    "finishReason": "stop",
    "createdAt": "2026-11-23T14:23:14.851816Z",
}


def _event(document: Mapping[str, Any], *, name: str = "", piece: int | None = None) -> str:
    cursor = "" if piece is None else f"{_TURN}.{piece}"
    return event(document, name=name, cursor=cursor).decode()


_CHUNKS: Final = "".join(
    (
        _event(
            {
                "type": "start",
                "messageId": "msg_0efe688835035b24",
                "messageMetadata": {"sessionId": _SESSION, "turnId": _TURN},
            }
        ),
        _event({"type": "start-step"}, piece=0),
        _event({"type": "text-start", "id": "p1"}),
        _event(
            {"type": "text-delta", "id": "p1", "delta": "5,895 metres."},
            piece=1,
        ),
        _event({"type": "text-end", "id": "p1"}),
        _event({"type": "finish-step"}),
        _event(
            {
                "type": "finish",
                "finishReason": "stop",
                "messageMetadata": {
                    "finishReason": "stop",
                    "usage": _USAGE,
                    "expiresAt": _EXPIRES,
                },
            }
        ),
        DONE.decode(),
    )
)


def _exported(message: Mapping[str, Any], number: int, **members: Any) -> dict[str, Any]:
    exported = {name: value for name, value in message.items() if name != "content"}
    return {**exported, "number": number, "turn": 1, **members}


EXAMPLES: Final[Mapping[Any, Any]] = MappingProxyType(
    {
        ChatBody: {"message": "How high is Kilimanjaro?", "locale": "en"},
        RegenerateBody: {"message": "How high is Kilimanjaro, in feet?"},
        ContinueBody: {"messageId": _REPLY["id"]},
        ToolResultsBody: {"results": [{"toolCallId": "call_1", "output": {"sky": "clear"}}]},
        StopBody: {"turnId": _TURN},
        SessionBody: {"locale": "fi"},
        PatchBody: {"locale": "fi", "metadata": {"topic": "mountains", "draft": None}},
        EmptyBody: {},
        ReplyDocument: {
            "sessionId": _SESSION,
            "restarted": False,
            "turnId": _TURN,
            "reply": _REPLY,
            "usage": _USAGE,
            "messagesSeen": None,
            "messagesTotal": None,
            "expiresAt": _EXPIRES,
        },
        ConversationInfoDocument: {
            "sessionId": _SESSION,
            "locale": "fi",
            "metadata": {"topic": "mountains"},
            "expiresAt": _EXPIRES,
        },
        HistoryDocument: {
            "sessionId": _SESSION,
            "locale": "en",
            "metadata": {},
            "messages": [_QUESTION, _REPLY],
            "turn": {
                "id": _TURN,
                "status": "finished",
                "error": None,
                "replyId": "msg_0efe688835035b24",
            },
            "expiresAt": _EXPIRES,
            "next": None,
        },
        ExportDocument: {
            "format": "privity-export-1",
            "sessionId": _SESSION,
            "createdAt": _CREATED,
            "expiresAt": _EXPIRES,
            "locale": "en",
            "metadata": {},
            "summary": None,
            "carriedSummary": None,
            "summarizedUntil": 1,
            "workingMemoryFrom": 1,
            "promptName": None,
            "hookState": None,
            "turn": {
                "id": _TURN,
                "number": 1,
                "status": "finished",
                "openedAt": _CREATED,
                "endedAt": "2026-11-23T14:23:14.851816Z",
                "replyId": "msg_0efe688835035b24",
                "error": None,
            },
            "messages": [
                _exported(_QUESTION, 1, usage=None),
                _exported(_REPLY, 2, usage=_USAGE),
            ],
        },
        SessionDocument: {
            "sessionId": _SESSION,
            "welcome": "Hei! Mitä haluaisit tietää?",
            "continues": None,
            "locale": "fi",
            "expiresAt": "2026-11-23T15:23:17.723377Z",
        },
        StopDocument: {"success": True, "stopped": True},
        ClientKeyDocument: {"clientKey": "ck_" + "0123456789ABCDEF" * 4},
        RESUMED_EVENTS: _CHUNKS,
        REPLY_EVENTS: "".join(
            (
                _event({"sessionId": _SESSION, "restarted": False}, name="session-id"),
                _CHUNKS,
                _event(
                    {"cost": None, "latency": 816, "timestamp": 1795443794853}, name="metadata-info"
                ),
            )
        ),
    }
)
