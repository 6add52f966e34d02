"""Examples of the bodies, documents and streams of ``/v1``, for the OpenAPI document."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from entrypoints.http.openai.bodies import (
    ConversationBody,
    ItemsBody,
    MetadataBody,
    ResponseBody,
)
from entrypoints.http.openai.chat_bodies import CompletionBody
from entrypoints.http.openai.chat_documents import ChatCompletionDocument
from entrypoints.http.openai.documents import (
    ConversationDocument,
    DeletedDocument,
    DeletedResponseDocument,
    ItemDocument,
    ItemListDocument,
    ModelDocument,
    ModelListDocument,
    ResponseDocument,
)
from entrypoints.http.openai.event_documents import COMPLETION_EVENTS, RESPONSE_EVENTS
from entrypoints.http.sse import DONE, event

_CONVERSATION: Final = "conv_0a9efcbb7f634a829119db150eaa45b6"
_RESPONSE_ID: Final = "resp_0a9efcbb7f634a829119db150eaa45b600000001"
_METADATA: Final = {"topic": "geography"}
_ITEM: Final = {
    "id": "msg_c9929d963ca0abda",
    "type": "message",
    "role": "user",
    "status": "completed",
    "content": [{"type": "input_text", "text": "How high is Kilimanjaro?"}],
}
_OUTPUT: Final = {
    "id": "msg_0efe688835035b24_0",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [
        {"type": "output_text", "text": "5,895 metres.", "annotations": [], "logprobs": []}
    ],
}
_MODEL_NAME: Final = "the-operators-model"
_MODEL: Final = {
    "id": _MODEL_NAME,
    "object": "model",
    "created": 0,
    "owned_by": "privity",
}
_RESPONSE: Final = {
    "id": _RESPONSE_ID,
    "object": "response",
    "created_at": 1795443794,
    "completed_at": 1795443795,
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "output": [_OUTPUT],
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "service_tier": "default",
    "background": False,
    "temperature": 1.0,
    "top_p": 1.0,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "top_logprobs": 0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "truncation": "auto",
    "usage": {
        "input_tokens": 12,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 14,
    },
    "metadata": {},
    "conversation": None,
    "model": _MODEL_NAME,
    "reasoning": {"effort": None, "summary": None},
    "store": True,
}


def _event(kind: str, number: int, **members: Any) -> str:
    document = {"type": kind, "sequence_number": number, **members}
    return event(document, name=kind).decode()


_PART: Final = {"item_id": "msg_0efe688835035b24_0", "output_index": 0, "content_index": 0}
_BEGUN: Final = {**_RESPONSE, "status": "in_progress", "completed_at": None, "output": []}
_STREAM: Final = "".join(
    (
        _event("response.created", 0, response=_BEGUN),
        _event(
            "response.output_text.delta",
            4,
            **_PART,
            delta="5,895 metres.",
            logprobs=[],
        ),
        _event("response.completed", 8, response=_RESPONSE),
        DONE.decode(),
    )
)

_COMPLETION: Final = {
    "id": "chatcmpl-0a9efcbb7f634a829119db150eaa45b600000001",
    "object": "chat.completion",
    "created": 1795443794,
    "model": _MODEL_NAME,
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "5,895 metres.",
                "refusal": None,
                "annotations": [],
            },
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 12, "completion_tokens": 2, "total_tokens": 14},
    "service_tier": "default",
    "system_fingerprint": None,
}


def _chunk(delta: Mapping[str, str], finish_reason: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    members = {name: value for name, value in _COMPLETION.items() if name != "usage"}
    return event({**members, "object": "chat.completion.chunk", "choices": [choice]}).decode()


EXAMPLES: Final[Mapping[Any, Any]] = MappingProxyType(
    {
        ConversationBody: {
            "items": [{"type": "message", "role": "user", "content": "How high is Kilimanjaro?"}],
            "metadata": _METADATA,
        },
        MetadataBody: {"metadata": _METADATA},
        ItemsBody: {
            "items": [{"type": "message", "role": "user", "content": "How high is Kilimanjaro?"}]
        },
        ResponseBody: {
            "input": "How high is Kilimanjaro?",
            "instructions": "Answer in one sentence.",
        },
        ConversationDocument: {
            "id": _CONVERSATION,
            "object": "conversation",
            "created_at": 1795443794,
            "metadata": _METADATA,
        },
        DeletedDocument: {"id": _CONVERSATION, "object": "conversation.deleted", "deleted": True},
        DeletedResponseDocument: {
            "id": _RESPONSE_ID,
            "object": "response",
            "deleted": True,
            "conversation": None,
        },
        ItemDocument: _ITEM,
        ItemListDocument: {
            "object": "list",
            "data": [_ITEM],
            "first_id": _ITEM["id"],
            "last_id": _ITEM["id"],
            "has_more": False,
        },
        ModelDocument: _MODEL,
        ModelListDocument: {"object": "list", "data": [_MODEL]},
        ResponseDocument: _RESPONSE,
        RESPONSE_EVENTS: _STREAM,
        CompletionBody: {
            "messages": [
                {"role": "system", "content": "Answer in one sentence."},
                {"role": "user", "content": "How high is Kilimanjaro?"},
            ]
        },
        ChatCompletionDocument: _COMPLETION,
        COMPLETION_EVENTS: "".join(
            (
                _chunk({"role": "assistant", "content": ""}),
                _chunk({"content": "5,895 metres."}),
                _chunk({}, "stop"),
                DONE.decode(),
            )
        ),
    }
)
