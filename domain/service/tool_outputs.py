"""How much of a tool's result the model gets, if we ran the tool.

The results of one step may take half of the room that is left, so that later steps have room too.
"""

import json
from typing import Final

from attrs import frozen

from domain.model.budget import Budget
from domain.model.conversation import Conversation
from domain.model.limits import MAX_TOOL_RESULT_BYTES
from domain.model.message import exchanges_of, utf8_length
from domain.model.prompt import ReplyOptions
from domain.model.token_rates import TokenRates
from domain.service.prompt_building import dialogue_of, room_for_messages
from domain.service.user_input import nests_too_deeply

LEAST_RESULT_TOKENS: Final = 100
"""A result may always have this many tokens: enough to say that the rest is missing."""

REST_LEFT_OUT: Final = "\n[The rest of the result was left out, because it is too long.]"
"""How a result ends that was cut, so that the model knows."""
_SHARE: Final = 2


@frozen(kw_only=True)
class OutputLimit:
    """How long the result of one call may be."""

    tokens: int
    rates: TokenRates
    bytes: int = MAX_TOOL_RESULT_BYTES

    def allows(self, output: str) -> bool:
        """Whether an output is short enough."""
        return utf8_length(output) <= self.bytes and self.rates.of_text(output) <= self.tokens


def output_limit(
    conversation: Conversation,
    system: str,
    budget: Budget,
    options: ReplyOptions,
    *,
    calls: int,
    bytes_left: int,
) -> OutputLimit:
    """The limit on each of the results of ``calls``, which come next in the last message.

    ``bytes_left`` is how many bytes may be added to that message.
    """
    room = room_for_messages(conversation, system, budget, options).at_most
    newest = exchanges_of(dialogue_of(conversation.working_memory))[-1:]
    used = sum(budget.rates.of_message(message) for exchange in newest for message in exchange)
    return OutputLimit(
        tokens=max((room - used) // _SHARE // calls, LEAST_RESULT_TOKENS),
        rates=budget.rates,
        bytes=min(MAX_TOOL_RESULT_BYTES, max(bytes_left, 0) // _SHARE // calls),
    )


def within(output: str, limit: OutputLimit) -> str:
    """The output, which is JSON text. If it is too long, its end is replaced by a note.

    The beginning of an object or a list is not JSON, so it becomes a JSON string.
    """
    if limit.allows(output):
        return output
    text = _text_of(output)
    # Half of a pair of surrogates cannot be stored.
    text = text.encode("utf-8", "replace").decode()
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if limit.allows(_text_output(text[:middle])):
            low = middle
        else:
            high = middle - 1
    return _text_output(text[:low])


def _text_of(output: str) -> str:
    if not output.startswith('"'):
        return output
    text = json.loads(output)
    return text if isinstance(text, str) else output


def _text_output(beginning: str) -> str:
    return json.dumps(beginning + REST_LEFT_OUT, ensure_ascii=False)


def call_arguments(arguments: str) -> str | None:
    """The arguments of a call as the JSON text of an object; None if they are anything else.

    Models write nothing for a tool that needs no arguments.
    """
    if not arguments.strip():
        return "{}"
    try:
        is_object = isinstance(json.loads(arguments), dict)
    except (ValueError, RecursionError):
        return None
    is_deep = nests_too_deeply(arguments.encode("utf-8", "replace"))
    return arguments if is_object and not is_deep else None
