"""The offline stand-in for a model: it says what it remembers, and that it is no model."""

from collections.abc import AsyncGenerator, Iterator
from datetime import timedelta
from itertools import accumulate
from typing import Final

from domain.model.message import FinishReason, Message, Role, Usage
from domain.model.piece import ModelFinished, Piece, TextPiece
from domain.model.prompt import Prompt
from ports.clock import Clock

_QUOTED: Final = 5
_QUOTE_CHARACTERS: Final = 80
_INTRODUCTION: Final = "I am not a language model, only Privity's built-in script."


class ScriptedModel:
    """Streams word by word what it remembers of the conversation, truthfully."""

    name = "scripted"

    def __init__(self, *, clock: Clock, pause: timedelta) -> None:
        """``pause`` stands between two words."""
        self._clock = clock
        self._pause = pause

    async def reply(self, prompt: Prompt) -> AsyncGenerator[Piece | ModelFinished, None]:
        """See ``ports.language_model.LanguageModel.reply``."""
        words = _answer(prompt).split(" ")
        for word in (words[0], *(f" {word}" for word in words[1:])):
            yield TextPiece(word)
            if self._pause:
                await self._clock.sleep(self._pause)
        asked = sum(len(said.text.split()) for said in prompt.messages)
        usage = Usage(input_tokens=asked, output_tokens=len(words))
        yield ModelFinished(reason=FinishReason.STOP, usage=usage)


def _answer(prompt: Prompt) -> str:
    asked = [said for said in prompt.messages if said.role is Role.USER]
    if not asked:
        return _INTRODUCTION
    now, before = asked[-1], asked[:-1]
    return "\n\n".join(
        (f"{_INTRODUCTION} You said: {_quoted(now)}.", *_remembered(before), _promise(before))
    )


def _remembered(before: list[Message]) -> Iterator[str]:
    if not before:
        return
    count = "one earlier message" if len(before) == 1 else f"{len(before)} earlier messages"
    yield f"I remember {count} of yours in this conversation:"
    shown = before[-_QUOTED:]
    first = len(before) - len(shown) + 1
    yield "\n".join(f"{number}. {_quoted(said)}" for number, said in enumerate(shown, first))


def _promise(before: list[Message]) -> str:
    if before:
        return "All of it is forgotten 24 hours after your last message, or now if you ask for it."
    return "Say something else, and I will remember this."


def _quoted(said: Message) -> str:
    text = " ".join(said.text.split())
    if len(text) <= _QUOTE_CHARACTERS:
        return f'"{text}"'
    ends = accumulate(len(word) + 1 for word in text.split(" "))
    fitting = [end - 1 for end in ends if end <= _QUOTE_CHARACTERS]
    return f'"{text[: fitting[-1] if fitting else _QUOTE_CHARACTERS]} …"'
