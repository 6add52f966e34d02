"""What of a conversation the model gets to see.

A prompt that heeds what the caller wishes for this reply.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate, takewhile

from attrs import evolve, field, frozen

from domain.model.conversation import Conversation
from domain.model.message import Message, Role, ToolCallPart, ToolResultPart
from domain.model.prompt import Prompt, ReplyOptions


def _leaves_room(budget: "Budget", _: object, reply_tokens: int) -> None:
    if not 0 < reply_tokens < budget.tokens:
        raise ValueError("reply_tokens is above 0 and below tokens")


@frozen(kw_only=True)
class Budget:
    """How much the model may see.

    Attributes:
        tokens: upper bound for one prompt together with its reply; at least 256.
        reply_tokens: part of it kept free for the reply; smaller than tokens.
    """

    tokens: int = field()
    reply_tokens: int = field(validator=_leaves_room)

    @tokens.validator
    def _is_useful(self, _: object, tokens: int) -> None:
        if tokens < 256:  # noqa: PLR2004 - below it no real prompt fits
            raise ValueError("tokens is at least 256")


def estimated_tokens(text: str) -> int:
    """A cautious guess for any language: three bytes of UTF-8 a token, and one to begin with."""
    return len(text.encode("utf-8", "surrogatepass")) // 3 + 1


def build_prompt(
    conversation: Conversation,
    system: str,
    budget: Budget,
    count_tokens: Callable[[str], int] = estimated_tokens,
) -> Prompt:
    """The newest messages that fit the budget, beginning with a user's; always at least the newest.

    Page context and summary count as part of the system prompt.
    """
    fixed = sum(map(count_tokens, filter(None, (system, *_background(conversation)))))
    room = budget.tokens - budget.reply_tokens - fixed
    newest_first = tuple(reversed(conversation.working_memory))
    costs = accumulate(_cost(message, count_tokens) for message in newest_first)
    fitting = len(tuple(takewhile(lambda spent: spent <= room, costs)))
    chosen = tuple(reversed(newest_first[: max(fitting, 1)]))
    return Prompt(
        system=system,
        messages=_beginning_with_a_user(chosen),
        page_context=conversation.page_context,
        summary=conversation.summary,
        locale=conversation.locale,
        reply_tokens=budget.reply_tokens,
    )


def sees_all(conversation: Conversation, prompt: Prompt) -> bool:
    """Whether no loaded message was left out of ``prompt`` for want of room."""
    return prompt.messages[:1] == _beginning_with_a_user(conversation.working_memory)[:1]


def _background(conversation: Conversation) -> tuple[str | None, str | None]:
    return conversation.page_context, conversation.summary


def _cost(message: Message, count_tokens: Callable[[str], int]) -> int:
    tools = (
        part.arguments if isinstance(part, ToolCallPart) else part.output
        for part in message.parts
        if isinstance(part, ToolCallPart | ToolResultPart)
    )
    return count_tokens(message.text) + sum(map(count_tokens, tools))


def _beginning_with_a_user(messages: Sequence[Message]) -> tuple[Message, ...]:
    first = next((i for i, said in enumerate(messages) if said.role is Role.USER), 0)
    return tuple(messages[first:])


_LEAST_TOKENS = 256


def build_prompt_with_options(
    conversation: Conversation, system: str, budget: Budget, options: ReplyOptions
) -> Prompt:
    """The prompt; instructions come after the assistant's own, tools take from its room."""
    instructed = "\n\n".join(filter(None, (system, options.instructions)))
    prompt = build_prompt(conversation, instructed, _narrowed(budget, options))
    return evolve(prompt, options=options)


def _narrowed(budget: Budget, options: ReplyOptions) -> Budget:
    reply_tokens = min(budget.reply_tokens, options.reply_tokens or budget.reply_tokens)
    left = budget.tokens - _options_cost(options)
    return Budget(tokens=max(left, _LEAST_TOKENS, reply_tokens + 1), reply_tokens=reply_tokens)


def _options_cost(options: ReplyOptions) -> int:
    told = [options.format or ""]
    told += [f"{tool.name}{tool.description}{tool.parameters}" for tool in options.tools]
    return sum(estimated_tokens(text) for text in told if text)
