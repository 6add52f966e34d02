"""Decides which messages leave the working memory, so that the prompt fits the model.

Messages leave oldest first, and an exchange leaves as a whole: a user message with everything up to
the next user message. Tool calls therefore stay with their results. The newest exchange never
leaves. Several exchanges leave at once, down to ``KEEP`` of the room, so that the prompts of the
next turns begin alike: the servers of models keep what they have computed for a beginning.

Messages that have left stay in the conversation. Only the model no longer sees them.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from attrs import evolve, frozen

from domain.model.budget import Budget
from domain.model.conversation import Conversation
from domain.model.errors import InvalidInput, NothingToContinue, OlderMessagesNeeded
from domain.model.message import Message, Role, ToolResultPart
from domain.model.prompt import DEFAULT_OPTIONS, ReplyOptions
from domain.model.token_rates import CAUTIOUS_RATES, TokenRates
from domain.service.prompt_building import Room, dialogue_of, room_for_messages

FOLD_AT: Final = 3 / 4
"""The part of the room above which it is time to fold the oldest messages into the summary."""

KEEP: Final = 2 / 5
"""The part of the room that the remaining messages may take after others have left."""


@frozen(kw_only=True)
class _Exchange:
    """A user message with everything up to the next one.

    Attributes:
        question: tokens of the user message.
        tokens: tokens of all messages.
    """

    messages: Sequence[Message]
    question: int
    tokens: int

    @property
    def number(self) -> int:
        return self.messages[0].number


def fitted(
    conversation: Conversation,
    system: str,
    budget: Budget,
    *,
    options: ReplyOptions = DEFAULT_OPTIONS,
) -> Conversation:
    """The conversation, with no more in its working memory than the prompt has room for.

    The result is the same as if the messages had arrived one after the other. So if each request
    contains the whole history, the prompts begin alike too.

    Raises:
        InvalidInput: ``message_too_long`` if there is no room even for the newest exchange;
            ``tool_result_too_long`` if only its tool results make it too long.
        NothingToContinue: the open turn continues a reply that has no room to become longer.
        OlderMessagesNeeded: messages that the prompt needs are not loaded.
    """
    _require_instructions(conversation)
    room = room_for_messages(conversation, system, budget, options)
    exchanges = _exchanges(conversation, budget.rates)
    if exchanges:
        if conversation.continues_cut_reply and exchanges[-1].tokens > room.at_most:
            raise NothingToContinue
        _require_fit(exchanges[-1], room)
    first = _first_kept(exchanges, room.usual)
    if first == 0:
        _require_working_memory(conversation)
        return conversation
    return evolve(conversation, working_memory_from=exchanges[first].number)


def step(
    conversation: Conversation,
    system: str,
    budget: Budget,
    *,
    options: ReplyOptions = DEFAULT_OPTIONS,
) -> int | None:
    """Where working memory may begin after the next fold; None while it is not time to fold.

    Raises:
        OlderMessagesNeeded: messages that the prompt needs are not loaded.
    """
    _require_instructions(conversation)
    _require_working_memory(conversation)
    room = room_for_messages(conversation, system, budget, options).usual
    exchanges = _exchanges(conversation, budget.rates)
    tokens = [exchange.tokens for exchange in exchanges]
    if sum(tokens) <= FOLD_AT * room:
        return None
    first = _first_within(tokens, KEEP * room)
    return exchanges[first].number if first else None


def newest_exchange_from(conversation: Conversation) -> int:
    """Number of the first message of the newest exchange, which never leaves working memory."""
    newest = _exchanges(conversation, CAUTIOUS_RATES)[-1:]
    return newest[0].number if newest else conversation.working_memory_from


def forgotten_before(conversation: Conversation, number: int | None) -> Conversation:
    """The conversation without the messages before ``number`` in its working memory.

    It is unchanged if they have already left, or if ``number`` is None.
    """
    if number is None or number <= conversation.working_memory_from:
        return conversation
    return evolve(conversation, working_memory_from=number)


def _exchanges(conversation: Conversation, rates: TokenRates) -> Sequence[_Exchange]:
    """The exchanges in working memory; messages before the first question belong to the first."""
    dialogue = dialogue_of(conversation.working_memory)
    questions = [i for i, message in enumerate(dialogue) if message.role is Role.USER]
    begins = [0, *questions[1:]] if dialogue else []
    exchanges = []
    for begin, end in zip(begins, [*begins[1:], len(dialogue)], strict=True):
        messages = dialogue[begin:end]
        tokens = [rates.of_message(message) for message in messages]
        question = next(
            (n for message, n in zip(messages, tokens, strict=True) if message.role is Role.USER), 0
        )
        exchanges.append(_Exchange(messages=messages, question=question, tokens=sum(tokens)))
    return exchanges


def _first_kept(exchanges: Sequence[_Exchange], room: int) -> int:
    """The index of the first exchange that stays, as if the questions had arrived one by one."""
    first = used = 0
    for newest, exchange in enumerate(exchanges):
        is_open = newest == len(exchanges) - 1
        added = exchange.tokens if is_open else exchange.question
        if used + added > room:
            before = [earlier.tokens for earlier in exchanges[first:newest]]
            first += _first_within([*before, added], KEEP * room)
            used = sum(earlier.tokens for earlier in exchanges[first:newest])
        used += exchange.tokens
    return first


def _first_within(tokens: Sequence[int], room: float) -> int:
    """The index of the first of the newest exchanges that fit ``room``; the newest always stays."""
    fitting = sum(used <= room for used in accumulate(reversed(tokens)))
    return len(tokens) - max(fitting, 1)


def _require_fit(newest: _Exchange, room: Room) -> None:
    if newest.tokens <= room.at_most:
        return
    last = newest.messages[-1]
    has_new_results = bool(last.parts) and isinstance(last.parts[-1], ToolResultPart)
    is_long_result = has_new_results and newest.question <= room.at_most
    what = "The result is" if is_long_result else "The message is"
    why = (
        f"{what} too long for the model's context window: there is room for about "
        f"{max(room.at_most, 0):,} tokens."
    )
    if is_long_result:
        raise InvalidInput("tool_result_too_long", why, field="output")
    raise InvalidInput("message_too_long", why, field="message")


def _is_loaded(conversation: Conversation, number: int) -> bool:
    """Whether message ``number`` is loaded, and all that follow it."""
    messages = conversation.messages
    return not conversation.earlier or bool(messages and messages[0].number <= number)


def _require_instructions(conversation: Conversation) -> None:
    """Raise if instructions are not loaded: they are part of every prompt."""
    first = conversation.instructions_from
    if first is not None and not _is_loaded(conversation, first):
        raise OlderMessagesNeeded


def _require_working_memory(conversation: Conversation) -> None:
    if not _is_loaded(conversation, conversation.working_memory_from):
        raise OlderMessagesNeeded
