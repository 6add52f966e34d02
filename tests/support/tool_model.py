"""A language model that calls tools, and otherwise repeats the messages of the user."""

import json
from collections.abc import AsyncGenerator, Iterator

from domain.model.message import FinishReason, Message, Role, ToolResultPart
from domain.model.piece import (
    ModelFinished,
    ModelPiece,
    ReasoningPiece,
    TextPiece,
    ToolCallPiece,
)
from domain.model.prompt import Prompt
from tests.support.fake_model import FINISHED, USAGE


class ToolModel:
    """Calls the first tool twice when asked to "look", then answers with the results."""

    name = "clerk"

    async def reply(self, prompt: Prompt) -> AsyncGenerator[ModelPiece | ModelFinished, None]:
        last = prompt.messages[-1]
        if prompt.options.tools and last.role is Role.USER and "look" in last.text:
            for piece in _tool_calls(prompt.options.tools[0].name, last.number):
                yield piece
            yield ModelFinished(reason=FinishReason.TOOL_CALLS, usage=USAGE)
            return
        for word in _answer(prompt).split(" "):
            yield TextPiece(f"{word} ")
        yield FINISHED


def _tool_calls(tool: str, number: int) -> Iterator[ModelPiece]:
    first, second = f"call_{number}a", f"call_{number}b"
    yield ReasoningPiece("Let me ")
    yield ReasoningPiece("see.")
    yield ToolCallPiece(call_id=first, name=tool, arguments='{"city":')
    yield ToolCallPiece(call_id=first, name=tool, arguments='"Rome"}')
    yield ToolCallPiece(call_id=second, name=tool, arguments='{"city":"Oslo"}')


def _answer(prompt: Prompt) -> str:
    last = prompt.messages[-1]
    results = [json.loads(part.output) for part in last.parts if isinstance(part, ToolResultPart)]
    if results:
        return "Found " + " and ".join(results)
    # The answer shows the instructions, so that a test sees that they arrived.
    prefix = f"[{prompt.options.instructions}] " if prompt.options.instructions else ""
    return prefix + " / ".join(_user_texts(prompt.messages))


def _user_texts(messages: tuple[Message, ...]) -> list[str]:
    return [message.text for message in messages if message.role is Role.USER]
