"""Builds the prompt: which part of a conversation the model sees."""

from collections.abc import Sequence
from itertools import accumulate, takewhile

from attrs import evolve

from domain.model.budget import MIN_PROMPT_TOKENS, Budget, TokenRates
from domain.model.conversation import Conversation
from domain.model.errors import InvalidInput, OlderMessagesNeeded
from domain.model.identifiers import MessageId
from domain.model.message import Message, PromptReport, Role, utf8_length
from domain.model.prompt import (
    CONTINUE_INSTRUCTION,
    DEFAULT_OPTIONS,
    Prompt,
    ReplyOptions,
    Tool,
)


def prompt_tokens(prompt: Prompt, rates: TokenRates) -> int:
    """An estimate of the tokens in a prompt."""
    texts = filter(None, (prompt.system, prompt.page_context, prompt.summary))
    fixed = sum(map(rates.of_text, (*texts, *_option_texts(prompt.options))))
    closing = rates.of_text(CONTINUE_INSTRUCTION) if prompt.continues_reply else 0
    return fixed + closing + sum(map(rates.of_message, prompt.messages))


def build_prompt(
    conversation: Conversation,
    system: str,
    budget: Budget,
    *,
    options: ReplyOptions = DEFAULT_OPTIONS,
) -> Prompt:
    """The prompt with the newest messages that fit the budget.

    It starts with a user's message, unless it has room for all messages and the options say
    otherwise. The newest message is always part of it, and so are all instructions. Instructions
    before the first message follow ``system``, because many servers accept a system message only at
    the beginning. The options' instructions come after them. System prompt, page context, summary,
    instructions, tools and response format count against the budget.
    """
    instructions = [message for message in conversation.messages if message.is_instruction]
    background = (system, options.instructions, conversation.page_context, conversation.summary)
    open_turn = conversation.open_turn
    continues_reply = open_turn is not None and open_turn.cut_at is not None
    closing = CONTINUE_INSTRUCTION if continues_reply else None
    texts = (*background, *(message.text for message in instructions), closing)
    fixed = sum(budget.rates.of_text(text) for text in texts if text)
    remaining = _without_options(budget, options)
    room = remaining.tokens - remaining.reply_tokens - fixed
    dialogue = _dialogue(conversation)
    costs = accumulate(map(budget.rates.of_message, reversed(dialogue)))
    fitting = max(len(tuple(takewhile(lambda cost: cost <= room, costs))), 1)
    fits_whole = fitting >= len(dialogue)
    chosen = _whole(conversation, options) if fits_whole else _from_first_user(dialogue[-fitting:])
    first = chosen[0].number if chosen else conversation.next_number
    before = [message.lines for message in instructions if message.number < first]
    return Prompt(
        system="\n\n".join(filter(None, (system, *before, options.instructions))),
        messages=tuple(message for message in conversation.messages if message.number >= first),
        page_context=conversation.page_context,
        summary=conversation.summary,
        locale=conversation.locale,
        reply_tokens=remaining.reply_tokens,
        options=options,
        continues_reply=continues_reply,
    )


def sees_all(conversation: Conversation, prompt: Prompt) -> bool:
    """Whether ``prompt`` had room for every loaded message."""
    return prompt.messages[:1] == _whole(conversation, prompt.options)[:1]


def _dialogue(conversation: Conversation) -> Sequence[Message]:
    """The messages that the model still sees, without instructions."""
    return [message for message in conversation.working_memory if not message.is_instruction]


def prompt_report(conversation: Conversation, prompt: Prompt) -> PromptReport:
    """How many messages of the conversation from which ``prompt`` was built are in it.

    Instructions are not counted, nor messages that the options leave out of every prompt.
    """
    memory = _dialogue(conversation)
    countable = memory if conversation.earlier else _whole(conversation, prompt.options)
    first_seen = prompt.messages[0].number if prompt.messages else conversation.next_number
    left_out = [message for message in countable if message.number < first_seen]
    total = conversation.earlier + len(countable)
    seen = len(countable) - len(left_out)
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
        "tools": "".join(map(_tool_text, options.tools)),
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
    """Raise unless the prompt has room for every message.

    Raises:
        InvalidInput: ``context_length_exceeded``.
        OlderMessagesNeeded: there is room for the loaded messages, but there are earlier ones.
    """
    prompt = build_prompt(conversation, system, budget, options=options)
    is_whole = sees_all(conversation, prompt)
    if not is_whole or prompt_tokens(prompt, budget.rates) + prompt.reply_tokens > budget.tokens:
        why = (
            "The conversation does not fit the model's context window: it has room for about "
            f"{budget.tokens:,} tokens, the reply included."
        )
        raise InvalidInput("context_length_exceeded", why, field="items")
    if conversation.earlier:
        raise OlderMessagesNeeded


def _without_options(budget: Budget, options: ReplyOptions) -> Budget:
    """The budget that is left after the tools and the response format."""
    reply_tokens = min(budget.reply_tokens, options.reply_tokens or budget.reply_tokens)
    left = budget.tokens - sum(map(budget.rates.of_text, _option_texts(options)))
    tokens = max(left, MIN_PROMPT_TOKENS, reply_tokens + 1)
    return evolve(budget, tokens=tokens, reply_tokens=reply_tokens)


def _option_texts(options: ReplyOptions) -> Sequence[str]:
    return [text for text in (options.response_format, *map(_tool_text, options.tools)) if text]


def _tool_text(tool: Tool) -> str:
    return f"{tool.name}{tool.description}{tool.parameters}"


def _whole(conversation: Conversation, options: ReplyOptions) -> tuple[Message, ...]:
    """The messages of a prompt that has room for all of them, without instructions."""
    dialogue = _dialogue(conversation)
    if options.starts_with_user or conversation.earlier:
        return _from_first_user(dialogue)
    return tuple(dialogue)


def _from_first_user(messages: Sequence[Message]) -> tuple[Message, ...]:
    first = next((i for i, message in enumerate(messages) if message.role is Role.USER), 0)
    return tuple(messages[first:])
