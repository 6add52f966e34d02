"""Builds the prompt: which part of a conversation the model sees."""

from collections.abc import Iterable, Sequence
from typing import Final

from attrs import evolve, frozen

from domain.model.budget import Budget
from domain.model.conversation import Conversation
from domain.model.errors import InvalidInput, OlderMessagesNeeded
from domain.model.identifiers import MessageId
from domain.model.message import (
    Message,
    PromptReport,
    Role,
    Usage,
    newest_page_context,
    utf8_length,
)
from domain.model.prompt import (
    CONTINUE_INSTRUCTION,
    DEFAULT_OPTIONS,
    Prompt,
    ReplyOptions,
    Tool,
    passages_text,
)
from domain.model.token_rates import TokenRates

DATA_TOKENS: Final = 40
"""For the sentence that introduces page context, summary or passages, and the tags around it."""

_LEAST_REPLY: Final = 4
"""This fraction of the reply's reserve always stays: a quarter. A long newest exchange may take the
rest."""

_BYTES_PER_TOKEN: Final = 3
"""Of a reply whose tokens the model's server did not report."""


def prompt_tokens(prompt: Prompt, rates: TokenRates) -> int:
    """An estimate of the tokens in a prompt."""
    fixed = _fixed_tokens(prompt.system, prompt.page_context, prompt.summary, prompt.options, rates)
    closing = rates.of_text(CONTINUE_INSTRUCTION) if prompt.continues_reply else 0
    return fixed + closing + sum(map(rates.of_message, prompt.messages))


def used_tokens(prompt: Prompt, reply_bytes: int, reported: Usage | None, rates: TokenRates) -> int:
    """The tokens of a prompt and its reply; a count that was not reported is estimated."""
    usage = reported or Usage()
    sent, received = usage.input_tokens, usage.output_tokens
    sent = prompt_tokens(prompt, rates) if sent is None else sent
    return sent + (reply_bytes // _BYTES_PER_TOKEN if received is None else received)


def build_prompt(
    conversation: Conversation,
    system: str,
    budget: Budget,
    *,
    options: ReplyOptions = DEFAULT_OPTIONS,
) -> Prompt:
    """The prompt with exactly the working memory, and all instructions.

    It starts with a user's message, unless nothing was forgotten and the options say otherwise.
    Instructions before the first message follow ``system``, because many servers accept a system
    message only at the beginning. The options' instructions come after them. What the reply may
    take is less than usual if the newest exchange is long.
    """
    seen = seen_messages(conversation, options)
    first = seen[0].number if seen else conversation.next_number
    before = [message.lines for message in _instructions(conversation) if message.number < first]
    prompt = Prompt(
        system="\n\n".join(filter(None, (system, *before, options.instructions))),
        messages=tuple(message for message in conversation.messages if message.number >= first),
        summary=conversation.summary,
        locale=conversation.locale,
        reply_tokens=_reply_tokens(budget, options),
        options=options,
        continues_reply=conversation.continues_cut_reply,
    )
    left = budget.tokens - prompt_tokens(prompt, budget.rates)
    least = _least_reply_tokens(budget, options)
    return evolve(prompt, reply_tokens=min(prompt.reply_tokens, max(left, least)))


def seen_messages(conversation: Conversation, options: ReplyOptions) -> Sequence[Message]:
    """The messages that a prompt with these options has, without instructions."""
    dialogue = dialogue_of(conversation.working_memory)
    has_forgotten = conversation.working_memory_from > 1
    return _from_first_user(dialogue) if options.starts_with_user or has_forgotten else dialogue


def dialogue_of(messages: Iterable[Message]) -> Sequence[Message]:
    """The messages that are not instructions."""
    return [message for message in messages if not message.is_instruction]


@frozen(kw_only=True)
class Room:
    """How many tokens the budget leaves for messages, beside the other parts of the prompt.

    Attributes:
        usual: with the whole reserve for the reply.
        at_most: with the smallest reserve, for a long newest exchange.
    """

    usual: int
    at_most: int


def room_for_messages(
    conversation: Conversation, system: str, budget: Budget, options: ReplyOptions
) -> Room:
    """The room that the budget leaves for the working memory of the conversation.

    System prompt, page context, summary, instructions, tools and response format are always part
    of the prompt.
    """
    rates, page_context = budget.rates, newest_page_context(conversation.messages)
    fixed = _fixed_tokens(system, page_context, conversation.summary, options, rates)
    fixed += rates.of_text(options.instructions) if options.instructions else 0
    fixed += sum(map(rates.of_message, _instructions(conversation)))
    if conversation.continues_cut_reply:
        fixed += rates.of_text(CONTINUE_INSTRUCTION)
    return Room(
        usual=budget.tokens - fixed - _reply_tokens(budget, options),
        at_most=budget.tokens - fixed - _least_reply_tokens(budget, options),
    )


def prompt_report(conversation: Conversation, prompt: Prompt) -> PromptReport:
    """How many messages of the conversation from which ``prompt`` was built are in it.

    Instructions are not counted, nor a welcome that the options leave out of every prompt.
    """
    seen = len(dialogue_of(prompt.messages))
    if conversation.working_memory_from == 1:
        return PromptReport(messages_seen=seen, messages_total=seen)
    total = conversation.earlier + len(dialogue_of(conversation.messages))
    return PromptReport(messages_seen=seen, messages_total=total)


def with_prompt_report(
    conversation: Conversation, reply_id: MessageId, report: PromptReport | None
) -> Conversation:
    """The conversation with ``report`` on the reply with this id, if that is the last message."""
    if report is None or not conversation.messages:
        return conversation
    *before, last = conversation.messages
    if last.id != reply_id or last.prompt_report == report:
        return conversation
    return evolve(conversation, messages=(*before, evolve(last, prompt_report=report)))


def require_option_room(options: ReplyOptions, budget: Budget) -> None:
    """Raise if the caller's options leave less than half of the context window for the rest.

    Raises:
        InvalidInput: ``context_length_exceeded``.
    """
    texts = {
        "instructions": options.instructions or "",
        "tools": "".join(map(tool_text, options.tools)),
        "response_format": options.response_format or "",
    }
    limit = budget.tokens // 2
    if sum(budget.rates.of_text(text) for text in texts.values() if text) > limit:
        why = (
            "Instructions, tools and the format of the reply may take at most half of the model's "
            f"context window: about {limit:,} tokens."
        )
        longest = max(texts, key=lambda name: utf8_length(texts[name]))
        raise InvalidInput("context_length_exceeded", why, field=longest)


def require_room(
    conversation: Conversation,
    system: str,
    budget: Budget,
    *,
    options: ReplyOptions = DEFAULT_OPTIONS,
) -> None:
    """Raise unless the prompt has room for all messages; it has none for forgotten ones.

    Raises:
        InvalidInput: ``context_length_exceeded``.
        OlderMessagesNeeded: there is room for the loaded messages, but there are earlier ones.
    """
    room = room_for_messages(conversation, system, budget, options)
    used = sum(map(budget.rates.of_message, seen_messages(conversation, options)))
    if conversation.working_memory_from > 1 or used > room.usual:
        why = (
            "The conversation does not fit into the model's context window, which has room for "
            f"about {budget.tokens:,} tokens, the reply included."
        )
        raise InvalidInput("context_length_exceeded", why, field="items")
    if conversation.earlier:
        raise OlderMessagesNeeded


def _fixed_tokens(
    system: str,
    page_context: str | None,
    summary: str | None,
    options: ReplyOptions,
    rates: TokenRates,
) -> int:
    """Tokens of what is part of a prompt besides its messages."""
    data = data_texts(page_context, summary, passages_text(options.passages))
    texts = sum(map(rates.of_text, (system, *_option_texts(options))))
    return rates.of_empty_prompt + texts + sum(rates.of_text(text) + DATA_TOKENS for text in data)


def data_texts(*texts: str | None) -> Sequence[str]:
    """The texts that a prompt has: those that are neither None nor empty."""
    return [text for text in texts if text]


def _reply_tokens(budget: Budget, options: ReplyOptions) -> int:
    return min(budget.reply_tokens, options.reply_tokens or budget.reply_tokens)


def _least_reply_tokens(budget: Budget, options: ReplyOptions) -> int:
    return min(_reply_tokens(budget, options), max(budget.reply_tokens // _LEAST_REPLY, 1))


def _instructions(conversation: Conversation) -> Sequence[Message]:
    return [message for message in conversation.messages if message.is_instruction]


def _option_texts(options: ReplyOptions) -> Sequence[str]:
    return [text for text in (options.response_format, *map(tool_text, options.tools)) if text]


def tool_text(tool: Tool) -> str:
    """The text of a tool that the model sees."""
    return f"{tool.name}{tool.description}{tool.parameters}"


def _from_first_user(messages: Sequence[Message]) -> tuple[Message, ...]:
    first = next((i for i, message in enumerate(messages) if message.role is Role.USER), 0)
    return tuple(messages[first:])
