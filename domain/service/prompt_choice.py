"""Chooses the named prompt with which a conversation begins."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import evolve

from domain.model.conversation import Conversation
from domain.model.message import Role, newest_page_context
from domain.model.named_prompt import Condition, NamedPrompt, Value


def with_prompt(conversation: Conversation, prompts: Sequence[NamedPrompt]) -> Conversation:
    """The conversation with the name of its system prompt, if its first turn has just been opened.

    A turn that answers the first message again counts as the first turn. The first of ``prompts``
    whose conditions hold is chosen; if there is none, the name is None.
    """
    if not _begins(conversation):
        return conversation
    context = _page_context(conversation)
    found = (prompt.name for prompt in prompts if _applies(prompt, context, conversation.metadata))
    return evolve(conversation, prompt_name=next(found, None))


def _begins(conversation: Conversation) -> bool:
    """Whether the open turn is the first one of the conversation, or repeats it."""
    turn = conversation.open_turn
    if turn is None or turn.continues or conversation.earlier:
        return False
    if turn.number == 1:
        # It has a prompt already if it continues another conversation.
        return conversation.prompt_name is None
    questions = sum(message.role is Role.USER for message in conversation.messages)
    has_reply = any(
        message.role is Role.ASSISTANT and message.turn for message in conversation.messages
    )
    return questions == 1 and not has_reply and conversation.carried_summary is None


def _page_context(conversation: Conversation) -> Any:
    """What the page context of the newest user message says; None if there is none."""
    try:
        return json.loads(newest_page_context(conversation.messages) or "null")
    except ValueError:
        return None


def _applies(prompt: NamedPrompt, page_context: Any, metadata: Mapping[str, str]) -> bool:
    return all(
        _holds(condition, metadata if condition.context == "metadata" else page_context)
        for condition in prompt.conditions
    )


def _holds(condition: Condition, values: Any) -> bool:
    for name in condition.path:
        if not isinstance(values, Mapping) or name not in values:
            return False
        values = values[name]
    return _is_equal(condition.value, values)


def _is_equal(expected: Value, value: Any) -> bool:
    if isinstance(expected, str):
        return isinstance(value, str) and _matches(expected, value)
    # In Python, True equals 1.
    return isinstance(expected, bool) == isinstance(value, bool) and bool(expected == value)


def _matches(pattern: str, text: str) -> bool:
    """Whether the text matches the pattern, in which ``*`` stands for any number of characters."""
    first, *others = pattern.split("*")
    if not others:
        return text == pattern
    *inner, last = others
    if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return False
    place, end = len(first), len(text) - len(last)
    for part in inner:
        found = text.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True
