"""What a language model is asked with."""

from attrs import frozen

from domain.model.message import Message
from domain.model.wishes import NO_WISHES, Wishes


@frozen(kw_only=True)
class Prompt:
    """One question to a language model.

    Attributes:
        system: what the assistant is and how it speaks.
        messages: what was said, oldest first; the last is what is to be answered.
        locale: BCP 47 tag the reply should be in unless the user writes otherwise.
        page_context: JSON text about the page the user is on; absent when not told.
        summary: what stands for forgotten messages; absent when none are.
        reply_tokens: upper bound for the reply.
        wishes: what the caller wishes besides; its instructions are part of ``system`` already.
    """

    system: str
    messages: tuple[Message, ...]
    locale: str
    reply_tokens: int
    page_context: str | None = None
    summary: str | None = None
    wishes: Wishes = NO_WISHES
