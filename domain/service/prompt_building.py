"""Builds the prompt: which part of a conversation the model sees."""

from collections.abc import Callable, Sequence
from itertools import accumulate, takewhile
from typing import Final

from attrs import field, frozen

from domain.model.conversation import Conversation
from domain.model.message import (
    ImagePart,
    Message,
    Role,
    ToolCallPart,
    ToolResultPart,
    utf8_length,
)
from domain.model.prompt import DEFAULT_OPTIONS, Prompt, ReplyOptions

BYTES_PER_TOKEN: Final = 3
"""A cautious estimate for any language."""

IMAGE_TOKENS: Final = 1_600
"""A cautious estimate for an image of any size: models count about 100 to 1,600."""

_MIN_TOKENS: Final = 256
"""A useful prompt needs at least this many."""


@frozen(kw_only=True)
class Budget:
    """How much the model may see.

    Attributes:
        tokens: upper bound for one prompt together with its reply; at least 256.
        reply_tokens: the part of it reserved for the reply; smaller than ``tokens``.
    """

    tokens: int = field()
    reply_tokens: int = field()

    @tokens.validator
    def _has_enough(self, _: object, tokens: int) -> None:
        if tokens < _MIN_TOKENS:
            raise ValueError(f"tokens must be at least {_MIN_TOKENS}")

    @reply_tokens.validator
    def _leaves_room(self, _: object, reply_tokens: int) -> None:
        if not 0 < reply_tokens < self.tokens:
            raise ValueError("reply_tokens must be above 0 and below tokens")


def estimated_tokens(text: str) -> int:
    """A cautious estimate for any language: one token, plus one per three bytes of UTF-8."""
    return utf8_length(text) // BYTES_PER_TOKEN + 1


def prompt_tokens(prompt: Prompt) -> int:
    """A cautious estimate of the tokens in a prompt."""
    texts = filter(None, (prompt.system, prompt.page_context, prompt.summary))
    fixed = sum(map(estimated_tokens, (*texts, *_option_texts(prompt.options))))
    return fixed + sum(_cost(message, estimated_tokens) for message in prompt.messages)


def build_prompt(
    conversation: Conversation,
    system: str,
    budget: Budget,
    count_tokens: Callable[[str], int] = estimated_tokens,
    *,
    options: ReplyOptions = DEFAULT_OPTIONS,
) -> Prompt:
    """The prompt with the newest messages that fit the budget, starting with a user's message.

    The newest message is always part of it, and so are all instructions. Instructions before the
    first message follow ``system``, because many servers accept a system message only at the
    beginning. The options' instructions come after them. System prompt, page context, summary,
    instructions, tools and response format count against the budget.
    """
    instructions = [message for message in conversation.messages if message.is_instruction]
    background = (system, options.instructions, conversation.page_context, conversation.summary)
    texts = (*background, *(message.text for message in instructions))
    fixed = sum(count_tokens(text) for text in texts if text)
    remaining = _without_options(budget, options)
    room = remaining.tokens - remaining.reply_tokens - fixed
    newest_first = tuple(reversed(_dialogue(conversation)))
    costs = accumulate(_cost(message, count_tokens) for message in newest_first)
    fitting = len(tuple(takewhile(lambda cost: cost <= room, costs)))
    chosen = _from_first_user(tuple(reversed(newest_first[: max(fitting, 1)])))
    first = chosen[0].number if chosen else conversation.next_number
    before = [message.text for message in instructions if message.number < first]
    return Prompt(
        system="\n\n".join(filter(None, (system, *before, options.instructions))),
        messages=tuple(message for message in conversation.messages if message.number >= first),
        page_context=conversation.page_context,
        summary=conversation.summary,
        locale=conversation.locale,
        reply_tokens=remaining.reply_tokens,
        options=options,
    )


def sees_all(conversation: Conversation, prompt: Prompt) -> bool:
    """Whether ``prompt`` had room for every loaded message."""
    return prompt.messages[:1] == _from_first_user(_dialogue(conversation))[:1]


def _dialogue(conversation: Conversation) -> Sequence[Message]:
    """The messages that the model still sees, without instructions."""
    return [message for message in conversation.working_memory if not message.is_instruction]


def _without_options(budget: Budget, options: ReplyOptions) -> Budget:
    """The budget that is left after the tools and the response format."""
    reply_tokens = min(budget.reply_tokens, options.reply_tokens or budget.reply_tokens)
    left = budget.tokens - sum(map(estimated_tokens, _option_texts(options)))
    return Budget(tokens=max(left, _MIN_TOKENS, reply_tokens + 1), reply_tokens=reply_tokens)


def _option_texts(options: ReplyOptions) -> Sequence[str]:
    tools = [f"{tool.name}{tool.description}{tool.parameters}" for tool in options.tools]
    return [text for text in (options.response_format, *tools) if text]


def _cost(message: Message, count_tokens: Callable[[str], int]) -> int:
    tools = (
        part.arguments if isinstance(part, ToolCallPart) else part.output
        for part in message.parts
        if isinstance(part, ToolCallPart | ToolResultPart)
    )
    images = IMAGE_TOKENS * sum(isinstance(part, ImagePart) for part in message.parts)
    return count_tokens(message.text) + sum(map(count_tokens, tools)) + images


def _from_first_user(messages: Sequence[Message]) -> tuple[Message, ...]:
    first = next((i for i, message in enumerate(messages) if message.role is Role.USER), 0)
    return tuple(messages[first:])
