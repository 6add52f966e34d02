"""The bodies of the native protocol. The OpenAPI document is generated from these types."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from domain.model.limits import MAX_MESSAGE_IMAGES, MAX_METADATA_PAIRS
from domain.model.message import ImagePart, ToolResultPart
from domain.service.user_images import ImagePolicy
from entrypoints.http.images import check_image_count, read_image
from entrypoints.http.member_types import (
    NOT_BLANK,
    ChatIdText,
    MessageIdText,
    MessageText,
    Metadata,
    MetadataName,
    MetadataValue,
    SessionIdText,
    UserText,
)
from entrypoints.http.problems import BadRequest
from entrypoints.http.requests import (
    LocaleMember,
    OnBusyChoice,
    OnBusyMember,
    PageContextMember,
    is_missing,
    read_page_context,
)
from entrypoints.http.tool_calls import client_failure, client_result
from entrypoints.usecases.conversations import ConversationPatch

_MAX_RESULTS: Final = 128
_MAX_CALL_ID: Final = 512

MetadataChanges = Annotated[
    dict[MetadataName, MetadataValue | None],
    # It may remove all names and add as many others.
    Meta(max_length=2 * MAX_METADATA_PAIRS),
]


class NativeBody(Struct, forbid_unknown_fields=True, rename="camel"):
    """A body of the native protocol; unknown members are rejected."""


class EmptyBody(NativeBody):
    """An empty body: ``{}`` or no bytes."""


class ChatBody(NativeBody):
    """A message to the assistant."""

    further_schema: ClassVar = {
        "not": {"required": ["context", "questionContext"]},
        # Only a message with images may be blank.
        "anyOf": [
            {"properties": {"message": {"pattern": NOT_BLANK}}},
            {"required": ["images"], "properties": {"images": {"minItems": 1}}},
        ],
    }

    message: MessageText
    session_id: Annotated[
        SessionIdText | None, Meta(description="The conversation; if omitted, a new one begins.")
    ] = None
    locale: LocaleMember | None = None
    context: PageContextMember = msgspec.field(default_factory=Raw)
    question_context: Annotated[Raw, Meta(description="Alias of `context`.")] = msgspec.field(
        default_factory=Raw
    )
    client_id: Annotated[Any, Meta(description="Ignored.")] = None
    on_busy: OnBusyMember = None
    images: Annotated[
        list[str],
        Meta(
            description="Images as data URLs, if the model takes images; they follow the text.",
            extra_json_schema={"maxItems": MAX_MESSAGE_IMAGES},
        ),
    ] = []

    def image_parts(self, policy: ImagePolicy) -> Sequence[ImagePart]:
        """The images.

        Raises:
            BadRequest: see ``read_image`` and ``check_image_count``.
        """
        parts = [
            read_image(url, policy, field=f"images[{index}]")
            for index, url in enumerate(self.images)
        ]
        check_image_count(parts, field="images")
        return parts

    @property
    def is_from_widget(self) -> bool:
        """Whether the legacy widget sent it: it alone sends `clientId` or `questionContext`."""
        return self.client_id is not None or not is_missing(self.question_context)

    @property
    def page_context(self) -> str | None:
        """The page context as JSON text; None if none was sent.

        Raises:
            BadRequest: ``body_invalid`` if it was sent twice; ``body_not_json`` if not UTF-8.
            InvalidInput: ``context_too_long``.
        """
        if is_missing(self.context):
            return read_page_context(self.question_context)
        if not is_missing(self.question_context):
            why = "Send either `context` or `questionContext`, not both."
            raise BadRequest("body_invalid", why, field="context")
        return read_page_context(self.context)


class RegenerateBody(NativeBody):
    """A request for another reply."""

    message_id: Annotated[
        MessageIdText | None,
        Meta(
            description="A reply to replace, or a user message to answer again; if omitted, the "
            "newest user message."
        ),
    ] = None
    message: Annotated[UserText | None, Meta(description="New text for that user message.")] = None
    context: Annotated[
        Raw,
        Meta(
            description="JSON about the page the user is on, for the edited message; at most 8 kB. "
            "Ignored without `message`: the message then keeps its context."
        ),
    ] = msgspec.field(default_factory=Raw)
    locale: LocaleMember | None = None
    on_busy: OnBusyChoice | None = None


class ContinueBody(NativeBody):
    """A request to continue a reply that was cut."""

    message_id: Annotated[
        MessageIdText | None,
        Meta(description="The reply, which must be the last message. Default: the last message."),
    ] = None


class ToolResultMember(NativeBody):
    """The result of one tool call: its output, or why it failed."""

    further_schema: ClassVar = {"oneOf": [{"required": ["output"]}, {"required": ["error"]}]}

    tool_call_id: Annotated[str, Meta(max_length=_MAX_CALL_ID, description="The call.")]
    output: Annotated[Raw, Meta(description="JSON of at most 32,768 bytes.")] = msgspec.field(
        default_factory=Raw
    )
    error: Annotated[
        str | UnsetType, Meta(description="Why the tool failed, for the model to read.")
    ] = UNSET

    @property
    def result(self) -> ToolResultPart:
        """The result.

        Raises:
            BadRequest: ``body_invalid`` unless it has either an output or an error.
            InvalidInput: ``tool_result_too_long``.
        """
        has_output = bytes(self.output) != b""
        if has_output and self.error is UNSET:
            return client_result(self.tool_call_id, self.output)
        if self.error is UNSET or has_output:
            why = "Send either `output` or `error` for each call."
            raise BadRequest("body_invalid", why, field="results")
        return client_failure(self.tool_call_id, self.error)


class ToolResultsBody(NativeBody):
    """The results of the tools that the last reply called, and that the client runs."""

    results: Annotated[
        list[ToolResultMember],
        Meta(min_length=1, max_length=_MAX_RESULTS, description="One for each open call."),
    ]


class StopBody(NativeBody):
    """A request to stop the reply being written."""

    turn_id: (
        Annotated[
            str, Meta(max_length=64, description="Stop only this turn; if omitted, the open one.")
        ]
        | None
    ) = None
    active_stream_id: (
        Annotated[str, Meta(max_length=64, description="Alias of `turnId`.")] | None
    ) = None
    assistant_message: Annotated[
        Any, Meta(description="Ignored; the server has its own copy of the reply.")
    ] = None


class SessionBody(NativeBody):
    """A request for a conversation that begins with the assistant's welcome."""

    locale: LocaleMember | None = None
    metadata: Annotated[
        Metadata | None,
        Meta(
            description="Names and values to attach to the conversation; with `continues`, if "
            "omitted, those of that one."
        ),
    ] = None
    continues: Annotated[
        ChatIdText | None,
        Meta(
            description="Another conversation, which may be full. The new one begins with its "
            "summary and its newest messages instead of the welcome."
        ),
    ] = None


class PatchBody(NativeBody):
    """What to change in a conversation, as a JSON merge patch (RFC 7396)."""

    locale: Annotated[
        LocaleMember | UnsetType | None,
        Meta(description="The language of later replies; null for the default language."),
    ] = UNSET
    metadata: Annotated[
        MetadataChanges | UnsetType | None,
        Meta(
            description="New values by name. A null value removes the name; null instead of the "
            "object removes all names."
        ),
    ] = UNSET

    @property
    def patch(self) -> ConversationPatch:
        """The changes."""
        locales = None
        if self.locale is not UNSET:
            locales = [self.locale] if self.locale else []
        metadata = {} if self.metadata is UNSET else self.metadata
        return ConversationPatch(locales=locales, metadata=metadata)
