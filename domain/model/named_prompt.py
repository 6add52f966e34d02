"""Named prompts: system prompts with which only some conversations begin."""

from typing import Literal, TypeAlias

from attrs import field, frozen
from attrs.validators import min_len

Context: TypeAlias = Literal["page_context", "metadata"]
"""What a condition reads: the JSON of the page context, or the metadata of the conversation."""

Value: TypeAlias = str | int | float | bool


@frozen(kw_only=True)
class Condition:
    """What must hold at the beginning of a conversation for a prompt to apply.

    Attributes:
        context: where the value is.
        path: the names of the members that lead to the value, outermost first.
        value: the value. In a text, ``*`` stands for any number of characters.
    """

    context: Context
    path: tuple[str, ...] = field(validator=min_len(1))
    value: Value


@frozen(kw_only=True)
class NamedPrompt:
    """A system prompt for the conversations that begin under certain conditions.

    Attributes:
        name: stored with the conversation.
        conditions: all of them must hold.
    """

    name: str
    system_prompt: str
    conditions: tuple[Condition, ...] = field(validator=min_len(1))
