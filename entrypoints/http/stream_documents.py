"""The events of a reply stream as types, from which the OpenAPI document is generated.

Each type describes the JSON in the ``data`` of one kind of event. ``ui_message_stream.py`` and
``reply_stream.py`` write the events.
"""

from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, Struct, UnsetType

from entrypoints.http.documents import StopReason, UsageDocument
from entrypoints.http.endpoints import Events
from entrypoints.http.member_types import Timestamp

Padding = Annotated[str, Meta(description="Random padding; ignore it.")] | UnsetType
PartId = Annotated[str, Meta(description="The part of the message that this event belongs to.")]


class SessionEvent(Struct, rename="camel"):
    """The event `session-id`: the conversation, and whether it replaces one that is gone."""

    session_id: str
    restarted: bool


class MetadataInfoEvent(Struct):
    """The event `metadata-info`: the cost of the reply, and its latency in milliseconds.

    The older widget gets objects with more details instead of the two numbers.
    """

    cost: float | dict[str, Any] | None
    latency: int | dict[str, int]
    timestamp: int


class RagContextsEvent(Struct):
    """The event `rag-contexts`, only for the older widget: the sources of the reply."""

    contexts: list[dict[str, Any]]


class MessageMetadata(Struct, rename="camel"):
    """The metadata of a message: members that do not apply are left out."""

    session_id: str | UnsetType = UNSET
    turn_id: str | UnsetType = UNSET
    restarted: bool | UnsetType = UNSET
    finish_reason: StopReason | UnsetType = UNSET
    usage: UsageDocument | UnsetType = UNSET
    messages_seen: int | UnsetType = UNSET
    messages_total: int | UnsetType = UNSET
    expires_at: Timestamp | UnsetType = UNSET
    aborted: bool | UnsetType = UNSET


class Chunk(Struct, rename="camel", tag_field="type"):
    """A chunk of the AI SDK's UI message stream."""


class StartChunk(Chunk, tag="start"):
    """The reply begins."""

    message_id: str
    message_metadata: MessageMetadata


class StartStepChunk(Chunk, tag="start-step"):
    """A model call begins."""


class FinishStepChunk(Chunk, tag="finish-step"):
    """A model call has ended."""


class TextStartChunk(Chunk, tag="text-start"):
    """A text part begins."""

    id: PartId


class TextDeltaChunk(Chunk, tag="text-delta"):
    """More text of a part."""

    id: PartId
    delta: str
    obfuscation: Padding = UNSET


class TextEndChunk(Chunk, tag="text-end"):
    """A text part has ended."""

    id: PartId


class ReasoningStartChunk(Chunk, tag="reasoning-start"):
    """A part with the model's reasoning begins."""

    id: PartId


class ReasoningDeltaChunk(Chunk, tag="reasoning-delta"):
    """More reasoning of a part."""

    id: PartId
    delta: str
    obfuscation: Padding = UNSET


class ReasoningEndChunk(Chunk, tag="reasoning-end"):
    """A part with reasoning has ended."""

    id: PartId


RunByService = Annotated[bool, Meta(description="True if the service runs the tool.")] | UnsetType
Dynamic = Annotated[bool, Meta(description="True if the service runs the tool.")] | UnsetType


class OurMetadata(Struct):
    """What the AI SDK has no member for."""

    excerpt: Annotated[str, Meta(description="The beginning of the passage.")]


class ProviderMetadata(Struct):
    """Metadata of a source."""

    privity: OurMetadata


class SourceUrlChunk(Chunk, tag="source-url"):
    """A source of the reply that can be opened."""

    source_id: str
    url: str
    title: str
    provider_metadata: ProviderMetadata | UnsetType = UNSET
    obfuscation: Padding = UNSET


class SourceDocumentChunk(Chunk, tag="source-document"):
    """A source of the reply that cannot be opened."""

    source_id: str
    media_type: str
    title: str
    provider_metadata: ProviderMetadata | UnsetType = UNSET
    obfuscation: Padding = UNSET


class ToolInputStartChunk(Chunk, tag="tool-input-start"):
    """The model calls a tool."""

    tool_call_id: str
    tool_name: str
    provider_executed: RunByService = UNSET
    dynamic: Dynamic = UNSET


class ToolInputDeltaChunk(Chunk, tag="tool-input-delta"):
    """More of the JSON text of the arguments."""

    tool_call_id: str
    input_text_delta: str
    obfuscation: Padding = UNSET


class ToolInputAvailableChunk(Chunk, tag="tool-input-available"):
    """The arguments are complete."""

    tool_call_id: str
    tool_name: str
    input: Any
    provider_executed: RunByService = UNSET
    dynamic: Dynamic = UNSET
    obfuscation: Padding = UNSET


class ToolInputErrorChunk(Chunk, tag="tool-input-error"):
    """The arguments are not valid JSON."""

    tool_call_id: str
    tool_name: str
    input: Any
    error_text: str
    provider_executed: RunByService = UNSET
    dynamic: Dynamic = UNSET
    obfuscation: Padding = UNSET


class ToolOutputAvailableChunk(Chunk, tag="tool-output-available"):
    """The result of a tool. That of a client tool is sent only to a page that resumes."""

    tool_call_id: str
    output: Any
    provider_executed: RunByService = UNSET
    dynamic: Dynamic = UNSET
    obfuscation: Padding = UNSET


class ToolOutputErrorChunk(Chunk, tag="tool-output-error"):
    """The failure of a tool. That of a client tool is sent only to a page that resumes."""

    tool_call_id: str
    error_text: str
    provider_executed: RunByService = UNSET
    dynamic: Dynamic = UNSET
    obfuscation: Padding = UNSET


class FinishChunk(Chunk, tag="finish"):
    """The reply is complete and saved."""

    finish_reason: StopReason | UnsetType = UNSET
    message_metadata: MessageMetadata | UnsetType = UNSET


class MessageMetadataChunk(Chunk, tag="message-metadata"):
    """The reply was stopped; `abort` follows."""

    message_metadata: MessageMetadata


class AbortChunk(Chunk, tag="abort"):
    """The reply was stopped; what was written so far is saved."""


class ErrorChunk(Chunk, tag="error"):
    """The reply failed; `code` is the code of a problem."""

    error_text: str
    code: str


class DataSessionChunk(Chunk, tag="data-session"):
    """The conversation, only in the AI SDK's format."""

    data: SessionEvent
    transient: bool


class RestartedData(Struct, rename="camel"):
    """The new conversation, which replaces one that is gone."""

    session_id: str


class DataRestartedChunk(Chunk, tag="data-restarted"):
    """The client shows messages that the service has forgotten; only in the AI SDK's format."""

    data: RestartedData
    transient: bool


UiMessageChunk = (
    StartChunk
    | StartStepChunk
    | FinishStepChunk
    | TextStartChunk
    | TextDeltaChunk
    | TextEndChunk
    | ReasoningStartChunk
    | ReasoningDeltaChunk
    | ReasoningEndChunk
    | SourceUrlChunk
    | SourceDocumentChunk
    | ToolInputStartChunk
    | ToolInputDeltaChunk
    | ToolInputAvailableChunk
    | ToolInputErrorChunk
    | ToolOutputAvailableChunk
    | ToolOutputErrorChunk
    | FinishChunk
    | MessageMetadataChunk
    | AbortChunk
    | ErrorChunk
    | DataSessionChunk
    | DataRestartedChunk
)
RESUMED_EVENTS: Final = Events((UiMessageChunk,))
"""The stream of a reply that another request has opened."""
REPLY_EVENTS: Final = Events((UiMessageChunk, SessionEvent, RagContextsEvent, MetadataInfoEvent))
"""The stream of a new reply."""
