"""The JSON documents in the responses of ``/v1``, as OpenAI defines them."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

ResponseStatus = Literal["in_progress", "completed", "incomplete", "cancelled", "failed"]
ItemDocument = Annotated[
    dict[str, Any],
    Meta(
        description=(
            "A message, function call, function output or reasoning, or an `mcp_call`: the call of "
            "a tool that the service runs."
        )
    ),
]


ConversationIdText = Annotated[
    str,
    Meta(
        description="The id of a conversation.",
        examples=["conv_0a9efcbb7f634a829119db150eaa45b6"],
        extra_json_schema={"pattern": "^conv_[0-9a-f]{32}$"},
    ),
]
ResponseIdText = Annotated[
    str,
    Meta(
        description="The id of a response.",
        examples=["resp_0a9efcbb7f634a829119db150eaa45b600000001"],
        extra_json_schema={"pattern": "^resp_[0-9a-f]{40}$"},
    ),
]
ItemIdText = Annotated[
    str, Meta(description="The id of an item.", examples=["msg_c9929d963ca0abda"])
]
UnixTime = Annotated[int, Meta(ge=0, description="Unix time in seconds.")]


class ErrorDetails(Struct):
    """What went wrong; ``code`` is stable (see docs/http_api.md)."""

    message: str
    type: str
    code: str
    param: Annotated[str | None, Meta(description="The member or parameter at fault.")]
    turn_id: Annotated[str, Meta(description="The turn in progress.")] | UnsetType = UNSET


class ErrorDocument(Struct):
    """A problem."""

    error: ErrorDetails


class ConversationDocument(Struct, kw_only=True):
    """A conversation without its items."""

    id: ConversationIdText
    object: Literal["conversation"] = "conversation"
    created_at: UnixTime
    metadata: dict[str, str]


class DeletedDocument(Struct, kw_only=True):
    """Confirms that something was deleted."""

    id: str
    object: str
    deleted: bool = True


class ConversationReference(Struct, kw_only=True):
    """Names a conversation."""

    id: str


class DeletedResponseDocument(DeletedDocument, kw_only=True):
    """Confirms that a response was deleted.

    Attributes:
        conversation: the conversation that still has other items or metadata; None if nothing is
            left.
    """

    conversation: ConversationReference | None


class ItemListDocument(Struct, kw_only=True):
    """A page of items; ``first_id`` and ``last_id`` are empty if it has none."""

    object: Literal["list"] = "list"
    data: list[ItemDocument]
    first_id: str
    last_id: str
    has_more: bool


class ModelDocument(Struct, kw_only=True):
    """A model."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "privity"


class ModelListDocument(Struct, kw_only=True):
    """All models."""

    object: Literal["list"] = "list"
    data: list[ModelDocument]


class ResponseDocument(Struct, kw_only=True):
    """A response; parameters that the request did not set have OpenAI's defaults."""

    id: ResponseIdText
    object: Literal["response"] = "response"
    created_at: UnixTime
    completed_at: UnixTime | None = None
    status: ResponseStatus
    error: dict[str, str] | None = None
    incomplete_details: dict[str, str] | None = None
    instructions: str | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    output: list[ItemDocument] = []
    parallel_tool_calls: bool = True
    previous_response_id: str | None = None
    prompt_cache_key: str | None = None
    safety_identifier: str | None = None
    service_tier: str = "default"
    background: bool = False
    temperature: float = 1.0
    top_p: float = 1.0
    presence_penalty: int = 0
    frequency_penalty: int = 0
    top_logprobs: int = 0
    text: dict[str, Any]
    tool_choice: str | dict[str, Any] = "auto"
    tools: list[dict[str, Any]] = []
    truncation: str = "auto"
    usage: dict[str, Any] | None = None
    metadata: dict[str, str] = {}
    conversation: dict[str, str] | None = None
    model: str
    reasoning: dict[str, Any]
    store: bool
