"""What a language model gets: the prompt, and the caller's options for one reply."""

import json
from collections.abc import Sequence
from typing import Final, Literal, TypeAlias, get_args

from attrs import field, frozen
from attrs.validators import ge, in_, optional

from domain.model.message import Message, newest_page_context, utf8_length

Effort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
"""How much a model should reason, in OpenAI's words."""

Verbosity: TypeAlias = Literal["low", "medium", "high"]
"""How wordy a reply should be, in OpenAI's words."""


TOOL_NAME: Final = "[A-Za-z0-9_-]{1,64}"
"""A regular expression for the names that models accept.

Source: the OpenAI API reference, "Create chat completion", the name of a function.
"""


@frozen(kw_only=True)
class Tool:
    """A tool that the model may call.

    Attributes:
        parameters: JSON Schema of its arguments, as JSON text.
        strict: whether the arguments must match the schema exactly; None: the model server decides.
    """

    name: str
    parameters: str
    description: str | None = None
    strict: bool | None = None

    @property
    def size(self) -> int:
        """Bytes of its name, its description and its parameters."""
        return utf8_length(self.name + (self.description or "") + self.parameters)


@frozen(kw_only=True)
class Passage:
    """A text that the model is given for one turn; it becomes a source of the reply.

    Attributes:
        url: an http or https URL where it can be read; None if it cannot be opened.
        number: its number among the sources of the reply, by which the model cites it.
    """

    title: str
    text: str = field(repr=False)
    url: str | None = None
    number: int = 0


@frozen(kw_only=True)
class ReplyOptions:
    """Options for one reply; they are not stored. None: the caller did not set the option.

    Attributes:
        instructions: added after the assistant's system prompt.
        tool_choice: ``auto``, ``none``, ``required``, or ``=`` and the name of one of the tools.
        parallel_tool_calls: whether several tools may be called at once.
        reply_tokens: upper bound for the reply; the operator's bound applies too.
        temperature, top_p, presence_penalty, frequency_penalty, seed: sent to the model server
            unchanged.
        stop: texts at which the model stops; sent to the model server unchanged.
        effort: how much the model should reason.
        verbosity: how wordy the reply should be.
        response_format: the ``response_format`` object of Chat Completions, as JSON text.
        starts_with_user: whether messages of the assistant before the first one of a user are left
            out of the prompt, as some servers require. If older messages have to be left out, the
            rest starts with a user's in any case.
        may_truncate: whether the oldest messages may be left out of the prompt if it has no room
            for them.
        max_tool_calls: how many calls of tools that we run one reply may have; None: the
            assistant's file decides.
        client_tools: whether the client runs the client tools of the assistant's file, and those of
            the operator's hook.
        passages: texts of the operator's hook for this reply, best first.
    """

    instructions: str | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: str | None = None
    parallel_tool_calls: bool | None = None
    reply_tokens: int | None = field(default=None, validator=optional(ge(1)))
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    effort: Effort | None = field(default=None, validator=optional(in_(get_args(Effort))))
    verbosity: Verbosity | None = field(default=None, validator=optional(in_(get_args(Verbosity))))
    response_format: str | None = None
    starts_with_user: bool = True
    may_truncate: bool = True
    max_tool_calls: int | None = None
    client_tools: bool = True
    passages: tuple[Passage, ...] = ()


DEFAULT_OPTIONS: Final = ReplyOptions()


CONTINUE_INSTRUCTION: Final = (
    "Your last answer was cut off. Continue it in the same language, exactly where it stopped, "
    "even in the middle of a word. Repeat nothing, and add no introduction."
)
"""Asks the model to continue its reply; never stored. It is sent as a user message, because many
servers do not let a model continue a message of the assistant."""


@frozen(kw_only=True)
class Prompt:
    """One request to a language model.

    Attributes:
        system: the system prompt, with the caller's instructions.
        messages: the messages, oldest first; the last is the one to reply to.
        locale: BCP 47 tag of the reply's language, unless the user writes in another.
        summary: summary of the messages that the model no longer sees; None if there is none.
        reply_tokens: upper bound for the reply.
        options: the caller's options.
        continues_reply: whether the last message is a reply that was cut, and the model has to
            continue it; ``CONTINUE_INSTRUCTION`` then ends the prompt.
        asks_for_summary: whether it asks for a summary of messages instead of a reply.
    """

    system: str
    messages: tuple[Message, ...]
    locale: str
    reply_tokens: int
    summary: str | None = None
    options: ReplyOptions = DEFAULT_OPTIONS
    continues_reply: bool = False
    asks_for_summary: bool = False

    @property
    def page_context(self) -> str | None:
        """JSON text about the page the user is on; None if the newest user message has none."""
        return newest_page_context(self.messages)

    @property
    def passages(self) -> str | None:
        """JSON text of the passages in ``options``; None if there are none."""
        return passages_text(self.options.passages)


def passages_text(passages: Sequence[Passage]) -> str | None:
    """The passages as the model gets them, with their numbers, as JSON; None if there are none."""
    if not passages:
        return None
    members = [
        {"number": one.number, "title": one.title, "url": one.url, "text": one.text}
        for one in passages
    ]
    present = [
        {name: value for name, value in each.items() if value is not None} for each in members
    ]
    return json.dumps(present, ensure_ascii=False)
