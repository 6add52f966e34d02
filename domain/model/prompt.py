"""What a language model is asked with.

What a caller wishes for one reply, beyond what the assistant is anyway.
"""

from attrs import field, frozen
from attrs.validators import ge, optional

from domain.model.message import Message


@frozen(kw_only=True)
class Tool:
    """A tool that the caller runs if the model asks for it.

    Attributes:
        parameters: JSON Schema of its arguments, as JSON text.
        strict: whether the arguments must match it exactly; absent leaves it to the model's server.
    """

    name: str
    parameters: str
    description: str | None = None
    strict: bool | None = None


@frozen(kw_only=True)
class ReplyOptions:
    """For one reply only; they are not kept. What is absent is left to the assistant.

    Attributes:
        instructions: added to the assistant's own.
        tool_choice: ``auto``, ``none``, ``required``, or ``=`` and the name of one of the tools.
        parallel_tool_calls: whether several tools may be asked for at once.
        reply_tokens: upper bound of the reply; the assistant's own bound holds as well.
        temperature, top_p: as the model's server takes them.
        effort: how hard the model should think, in the words of its server.
        verbosity: how wordy it should be, in the words of its server.
        format: JSON Schema wrapper that the text must follow, as JSON text.
    """

    instructions: str | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: str | None = None
    parallel_tool_calls: bool | None = None
    reply_tokens: int | None = field(default=None, validator=optional(ge(1)))
    temperature: float | None = None
    top_p: float | None = None
    effort: str | None = None
    verbosity: str | None = None
    format: str | None = None


DEFAULT_OPTIONS = ReplyOptions()


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
        options: what the caller wishes besides; its instructions are part of ``system`` already.
    """

    system: str
    messages: tuple[Message, ...]
    locale: str
    reply_tokens: int
    page_context: str | None = None
    summary: str | None = None
    options: ReplyOptions = DEFAULT_OPTIONS
