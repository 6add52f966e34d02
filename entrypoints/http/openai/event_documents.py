"""The events of the streams of ``/v1`` as types, from which the OpenAPI document is generated.

``events.py`` and ``chat_events.py`` write the events.
"""

from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, Struct, UnsetType

from entrypoints.http.endpoints import Events
from entrypoints.http.openai.chat_documents import ChatChunkDocument
from entrypoints.http.openai.documents import ErrorDocument, ItemDocument, ResponseDocument

Padding = Annotated[str, Meta(description="Random padding; ignore it.")] | UnsetType


class _Event(Struct, tag_field="type", kw_only=True):
    sequence_number: Annotated[int, Meta(ge=0, description="Counts up from 0, without gaps.")]


class _ResponseEvent(_Event):
    response: ResponseDocument


class ResponseCreated(_ResponseEvent, tag="response.created"):
    """The first event; the response has no output yet."""


class ResponseInProgress(_ResponseEvent, tag="response.in_progress"):
    """The model is about to answer."""


class ResponseCompleted(_ResponseEvent, tag="response.completed"):
    """The response is complete."""


class ResponseIncomplete(_ResponseEvent, tag="response.incomplete"):
    """The response ended early: it was cancelled, too long or filtered."""


class ResponseFailed(_ResponseEvent, tag="response.failed"):
    """The response failed; its `error` gives the reason."""


class _ItemEvent(_Event):
    output_index: int
    item: ItemDocument


class OutputItemAdded(_ItemEvent, tag="response.output_item.added"):
    """An item begins."""


class OutputItemDone(_ItemEvent, tag="response.output_item.done"):
    """An item is complete."""


class _PartEvent(_Event):
    item_id: str
    output_index: int


class _TextEvent(_PartEvent):
    content_index: int


class ContentPartAdded(_TextEvent, tag="response.content_part.added"):
    """A content part begins."""

    part: dict[str, Any]


class ContentPartDone(_TextEvent, tag="response.content_part.done"):
    """A content part is complete."""

    part: dict[str, Any]


class OutputTextDelta(_TextEvent, tag="response.output_text.delta"):
    """More text."""

    delta: str
    logprobs: list[Any]
    obfuscation: Padding = UNSET


class OutputTextAnnotationAdded(_TextEvent, tag="response.output_text.annotation.added"):
    """A source of the text; its indexes count characters, and the end is exclusive."""

    annotation_index: int
    annotation: dict[str, Any]


class OutputTextDone(_TextEvent, tag="response.output_text.done"):
    """The text of a content part is complete."""

    text: str
    logprobs: list[Any]


class _SummaryEvent(_PartEvent):
    summary_index: int


class ReasoningSummaryPartAdded(_SummaryEvent, tag="response.reasoning_summary_part.added"):
    """A part with the model's reasoning begins."""

    part: dict[str, Any]


class ReasoningSummaryPartDone(_SummaryEvent, tag="response.reasoning_summary_part.done"):
    """A part with the model's reasoning is complete."""

    part: dict[str, Any]


class ReasoningSummaryTextDelta(_SummaryEvent, tag="response.reasoning_summary_text.delta"):
    """More of the model's reasoning."""

    delta: str
    obfuscation: Padding = UNSET


class ReasoningSummaryTextDone(_SummaryEvent, tag="response.reasoning_summary_text.done"):
    """The reasoning of a part is complete."""

    text: str


class FunctionCallArgumentsDelta(_PartEvent, tag="response.function_call_arguments.delta"):
    """More of the JSON text of the arguments of a function call."""

    delta: str
    obfuscation: Padding = UNSET


class FunctionCallArgumentsDone(_PartEvent, tag="response.function_call_arguments.done"):
    """The arguments of a function call are complete."""

    name: str
    arguments: str


class McpCallInProgress(_PartEvent, tag="response.mcp_call.in_progress"):
    """The model calls a tool that the service runs."""


class McpCallArgumentsDelta(_PartEvent, tag="response.mcp_call_arguments.delta"):
    """More of the JSON text of the arguments of such a call."""

    delta: str
    obfuscation: Padding = UNSET


class McpCallArgumentsDone(_PartEvent, tag="response.mcp_call_arguments.done"):
    """The arguments of such a call are complete."""

    arguments: str


class McpCallCompleted(_PartEvent, tag="response.mcp_call.completed"):
    """Such a call has a result."""


class McpCallFailed(_PartEvent, tag="response.mcp_call.failed"):
    """Such a call has failed."""


ResponseEvent = (
    ResponseCreated
    | ResponseInProgress
    | ResponseCompleted
    | ResponseIncomplete
    | ResponseFailed
    | OutputItemAdded
    | OutputItemDone
    | ContentPartAdded
    | ContentPartDone
    | OutputTextDelta
    | OutputTextAnnotationAdded
    | OutputTextDone
    | ReasoningSummaryPartAdded
    | ReasoningSummaryPartDone
    | ReasoningSummaryTextDelta
    | ReasoningSummaryTextDone
    | FunctionCallArgumentsDelta
    | FunctionCallArgumentsDone
    | McpCallInProgress
    | McpCallArgumentsDelta
    | McpCallArgumentsDone
    | McpCallCompleted
    | McpCallFailed
)
RESPONSE_EVENTS: Final = Events((ResponseEvent,))
"""The events of a streamed response."""
COMPLETION_EVENTS: Final = Events((ChatChunkDocument, ErrorDocument))
"""The chunks of a streamed chat completion; an error ends a stream that failed."""
