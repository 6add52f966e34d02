"""The JSON documents in the responses of ``/v1/chat/completions``, as OpenAI defines them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from attrs import frozen
from msgspec import UNSET, Meta, Struct, UnsetType

from domain.model.message import (
    FinishReason,
    Part,
    ReasoningPart,
    SourcePart,
    ToolCallPart,
    Usage,
    text_of,
)
from domain.model.turn import TurnEnd
from entrypoints.http.openai.citations import chat_annotations
from entrypoints.http.openai.parameters import MESSAGES_SEEN

FinishReasonName = Literal["stop", "length", "tool_calls", "content_filter"]

_FINISH_REASONS: Final[Mapping[FinishReason | None, FinishReasonName]] = MappingProxyType(
    {
        FinishReason.LENGTH: "length",
        FinishReason.TOOL_CALLS: "tool_calls",
        FinishReason.CONTENT_FILTER: "content_filter",
    }
)


class FunctionDocument(Struct):
    """The function of a tool call."""

    name: str
    arguments: Annotated[str, Meta(description="JSON text.")]


class ToolCallDocument(Struct, kw_only=True):
    """A function call that the model made."""

    id: str
    type: Literal["function"] = "function"
    function: FunctionDocument


class ChatMessageDocument(Struct, kw_only=True):
    """The message that the model wrote; ``content`` is null if it only called functions."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: None = None
    annotations: Annotated[
        list[dict[str, Any]], Meta(description="The sources of the text, as URL citations.")
    ] = []
    reasoning_content: (
        Annotated[str, Meta(description="The reasoning that the model shows, if any.")] | UnsetType
    ) = UNSET
    tool_calls: list[ToolCallDocument] | UnsetType = UNSET


class ChatChoiceDocument(Struct, kw_only=True):
    """The only choice."""

    index: int = 0
    message: ChatMessageDocument
    logprobs: None = None
    finish_reason: FinishReasonName


class PromptTokensDocument(Struct):
    """How many tokens of the prompt came from a cache."""

    cached_tokens: int


class CompletionTokensDocument(Struct):
    """How many tokens of the reply are reasoning."""

    reasoning_tokens: int


class ChatUsageDocument(Struct, kw_only=True):
    """The tokens that the reply used, as far as the model reported them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDocument | UnsetType = UNSET
    completion_tokens_details: CompletionTokensDocument | UnsetType = UNSET


class ChatCompletionDocument(Struct, kw_only=True):
    """A completion; ``usage`` is null if the model reported no tokens.

    ``metadata`` is present only if the model did not see all messages of the conversation.
    """

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: Annotated[int, Meta(description="Unix time in seconds.")]
    model: str
    choices: list[ChatChoiceDocument]
    usage: ChatUsageDocument | None
    service_tier: Literal["default"] = "default"
    system_fingerprint: None = None
    metadata: dict[str, str] | UnsetType = UNSET


class ChunkChoiceDocument(Struct, kw_only=True):
    """The next part of the only choice."""

    index: int = 0
    delta: dict[str, Any]
    logprobs: None = None
    finish_reason: FinishReasonName | None = None


class ChatChunkDocument(Struct, kw_only=True):
    """One chunk of a streamed completion.

    ``usage`` is present if the request includes it, and null in every chunk but the last, which has
    no choices. ``metadata`` is that of the completion, in the chunk with the finish reason.
    """

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: Annotated[int, Meta(description="Unix time in seconds.")]
    model: str
    choices: list[ChunkChoiceDocument]
    usage: ChatUsageDocument | UnsetType | None = UNSET
    service_tier: Literal["default"] = "default"
    system_fingerprint: None = None
    metadata: dict[str, str] | UnsetType = UNSET


@frozen(kw_only=True)
class CompletionSkeleton:
    """The members of a completion that do not depend on its reply."""

    id: str
    created_at: datetime
    model: str

    @property
    def created(self) -> int:
        """When the turn was opened, as Unix time in seconds."""
        return int(self.created_at.timestamp())

    def completion(self, parts: Sequence[Part], end: TurnEnd) -> ChatCompletionDocument:
        """The completion for a whole reply."""
        reason = finish_reason_name(end.finish_reason)
        choice = ChatChoiceDocument(message=_message(parts), finish_reason=reason)
        return ChatCompletionDocument(
            id=self.id,
            created=self.created,
            model=self.model,
            choices=[choice],
            usage=usage_document(end.usage),
            metadata=metadata_of(end),
        )

    def chunk(
        self,
        *choices: ChunkChoiceDocument,
        usage: ChatUsageDocument | UnsetType | None = UNSET,
        metadata: dict[str, str] | UnsetType = UNSET,
    ) -> ChatChunkDocument:
        """A chunk of the streamed completion."""
        return ChatChunkDocument(
            id=self.id,
            created=self.created,
            model=self.model,
            choices=list(choices),
            usage=usage,
            metadata=metadata,
        )


def finish_reason_name(reason: FinishReason | None) -> FinishReasonName:
    """OpenAI's name for why the model stopped; ``stop`` for a reason that OpenAI does not have."""
    return _FINISH_REASONS.get(reason, "stop")


def metadata_of(end: TurnEnd) -> dict[str, str] | UnsetType:
    """How much of the conversation the model saw; unset if it saw all of it."""
    report = end.prompt_report
    if report is None or report.sees_all:
        return UNSET
    return {MESSAGES_SEEN: f"{report.messages_seen} of {report.messages_total}"}


def usage_document(usage: Usage | None) -> ChatUsageDocument | None:
    """The tokens that the model reported; None if it reported none."""
    if usage is None:
        return None
    prompt, completion = usage.input_tokens or 0, usage.output_tokens or 0
    cached, reasoning = usage.cached_input_tokens, usage.reasoning_tokens
    return ChatUsageDocument(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        prompt_tokens_details=UNSET if cached is None else PromptTokensDocument(cached),
        completion_tokens_details=(
            UNSET if reasoning is None else CompletionTokensDocument(reasoning)
        ),
    )


def _message(parts: Sequence[Part]) -> ChatMessageDocument:
    text = text_of(parts)
    reasoning = "".join(part.text for part in parts if isinstance(part, ReasoningPart))
    sources = [part for part in parts if isinstance(part, SourcePart)]
    calls = [
        _tool_call(part) for part in parts if isinstance(part, ToolCallPart) and part.server is None
    ]
    return ChatMessageDocument(
        content=None if calls and not text else text,
        annotations=chat_annotations(text, sources),
        reasoning_content=reasoning or UNSET,
        tool_calls=calls or UNSET,
    )


def _tool_call(part: ToolCallPart) -> ToolCallDocument:
    function = FunctionDocument(name=part.name, arguments=part.arguments)
    return ToolCallDocument(id=part.call_id, function=function)
