"""What the native protocol takes: typed bodies, parsed strictly, bounded in size and time.

The OpenAPI document is generated from these same types.
"""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Raw

from entrypoints.http.problems import BadRequest
from entrypoints.http.requests import NativeBody, OnBusyWord

_ABSENT: Final = (Raw(b""), Raw(b"null"))


class ChatBody(NativeBody):
    """A message to the assistant."""

    message: Annotated[str, Meta(description="What the user says; at most 8,000 characters.")]
    session_id: Annotated[
        str | None, Meta(description="The conversation; absent begins a new one.")
    ] = None
    locale: Annotated[str, Meta(max_length=64, description="A BCP 47 tag.")] | None = None
    context: Annotated[
        Raw, Meta(description="JSON about the page the user is on; at most 8 kB.")
    ] = msgspec.field(default_factory=Raw)
    question_context: Annotated[Raw, Meta(description="Another name of `context`.")] = (
        msgspec.field(default_factory=Raw)
    )
    client_id: Annotated[Any, Meta(description="Ignored.")] = None
    on_busy: Annotated[
        OnBusyWord | None, Meta(description="What to do about a reply still being written.")
    ] = None

    @property
    def is_of_widget(self) -> bool:
        """Whether the older widget sent it: only that names its client or the page's question."""
        return self.client_id is not None or self.question_context not in _ABSENT

    @property
    def page_context(self) -> str | None:
        """JSON text about the page, absent when not told.

        Raises:
            BadRequest: it was told twice, or is no text.
        """
        told = [raw for raw in (self.context, self.question_context) if raw not in _ABSENT]
        if len(told) > 1:
            raise BadRequest("body_invalid", "Send context or questionContext.", field="context")
        try:
            return bytes(told[0]).decode() if told else None
        except UnicodeDecodeError:
            raise BadRequest("body_not_json", "The body is not valid JSON.") from None


class AgainBody(NativeBody):
    """A wish for another answer."""

    message_id: Annotated[
        str | None,
        Meta(description="A reply to replace, or a user message; absent: the newest of the user."),
    ] = None
    message: Annotated[str | None, Meta(description="What the user message shall say instead.")] = (
        None
    )
    on_busy: OnBusyWord | None = None


class StopBody(NativeBody):
    """A wish that the reply being written stops."""

    turn_id: (
        Annotated[str, Meta(max_length=64, description="Only this turn; absent: whichever runs.")]
        | None
    ) = None
    active_stream_id: (
        Annotated[str, Meta(max_length=64, description="Another name of `turnId`.")] | None
    ) = None
    assistant_message: Annotated[Any, Meta(description="Ignored: the server knows better.")] = None


class OpenBody(NativeBody):
    """A wish for a conversation with a welcome in it."""

    locale: Annotated[str, Meta(max_length=64, description="A BCP 47 tag.")] | None = None
