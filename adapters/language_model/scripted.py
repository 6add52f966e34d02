"""An offline stand-in for a model: it says so and repeats the user's messages.

A summary that it writes quotes them too.
"""

import json
import re
from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from itertools import accumulate
from typing import Final

from domain.model.message import FinishReason, ImagePart, Message, Role, Usage
from domain.model.piece import ModelFinished, ModelPiece, TextPiece
from domain.model.prompt import Prompt
from ports.clock import Clock

_LISTED_MESSAGES: Final = 5
_QUOTE_CHARACTERS: Final = 80
_MESSAGES: Final = re.compile(r"<messages>(.*)</messages>", re.DOTALL)
_INTRODUCTION: Final = "I am not a language model, only Privity's built-in script."


class ScriptedModel:
    """Streams, word by word, a reply that quotes the user's messages in the prompt."""

    name = "scripted"

    def __init__(self, *, clock: Clock, pause: timedelta) -> None:
        """``pause`` follows each word."""
        self._clock = clock
        self._pause = pause

    async def reply(self, prompt: Prompt) -> AsyncGenerator[ModelPiece | ModelFinished, None]:
        """See ``ports.language_model.LanguageModel.reply``."""
        text = _summary_text(prompt) if prompt.asks_for_summary else _reply_text(prompt)
        if prompt.continues_reply:
            text = text.removeprefix(prompt.messages[-1].text)
        words = text.split(" ")
        for word in filter(None, (words[0], *(f" {word}" for word in words[1:]))):
            yield TextPiece(word)
            if self._pause:
                await self._clock.sleep(self._pause)
        input_words = sum(len(message.text.split()) for message in prompt.messages)
        usage = Usage(input_tokens=input_words, output_tokens=len(words))
        yield ModelFinished(reason=FinishReason.STOP, usage=usage)


def _reply_text(prompt: Prompt) -> str:
    user_messages = [message for message in prompt.messages if message.role is Role.USER]
    if not user_messages:
        return _INTRODUCTION
    *earlier, newest = user_messages
    introduction = f"{_INTRODUCTION} You said: {_quoted(newest)}"
    if not earlier:
        return f"{introduction}\n\nSay something else, and I will remember this."
    return "\n\n".join(
        (
            introduction,
            *_listed(earlier),
            *_remembered(prompt.summary),
            "All of it is forgotten 24 hours after your last message, or now if you ask for it.",
        )
    )


def _summary_text(prompt: Prompt) -> str:
    """The summary so far, and what the user has said since then; see ``summarizing``."""
    found = _MESSAGES.search(prompt.messages[-1].text)
    messages = json.loads(found[1]) if found else []
    texts = [message["text"] for message in messages if message["from"] == Role.USER.value]
    quoted = f"The user said: {', '.join(map(_quoted_text, texts))}." if texts else ""
    return " ".join(filter(None, (prompt.summary, quoted))) or "Nothing was said."


def _listed(earlier: Sequence[Message]) -> tuple[str, str]:
    count = "one earlier message" if len(earlier) == 1 else f"{len(earlier)} earlier messages"
    shown = earlier[-_LISTED_MESSAGES:]
    first = len(earlier) - len(shown) + 1
    return (
        f"I remember {count} of yours in this conversation:",
        "\n".join(f"{number}. {_quoted(message)}" for number, message in enumerate(shown, first)),
    )


def _remembered(summary: str | None) -> Sequence[str]:
    return [] if summary is None else [f"Of what came before that, I know this summary: {summary}"]


def _quoted(message: Message) -> str:
    """Its text in quotation marks, and how many images it has."""
    images = sum(isinstance(part, ImagePart) for part in message.parts)
    if not images:
        return _quoted_text(message.text)
    counted = "an image" if images == 1 else f"{images} images"
    return f"{_quoted_text(message.text)}, with {counted}" if message.text.strip() else counted


def _quoted_text(text: str) -> str:
    text = " ".join(text.split())
    if len(text) <= _QUOTE_CHARACTERS:
        return f'"{text}"'
    ends = accumulate(len(word) + 1 for word in text.split(" "))
    fitting = [end - 1 for end in ends if end <= _QUOTE_CHARACTERS]
    return f'"{text[: fitting[-1] if fitting else _QUOTE_CHARACTERS]} …"'
