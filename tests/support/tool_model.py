"""A language model that uses the tools it is given, and otherwise repeats what it can see."""

import json
from collections.abc import AsyncGenerator, Iterator

from domain.model.message import FinishReason, Message, Role, ToolResultPart, Usage
from domain.model.piece import ModelFinished, Piece, ReasoningPiece, TextPiece, ToolCallPiece
from domain.model.prompt import Prompt

USAGE = Usage(input_tokens=7, output_tokens=3)


class Clerk:
    """Looks up two things with the first tool when asked to "look"; then tells what it found."""

    name = "clerk"

    async def reply(self, prompt: Prompt) -> AsyncGenerator[Piece | ModelFinished, None]:
        last = prompt.messages[-1]
        if prompt.options.tools and last.role is Role.USER and "look" in last.text:
            for piece in _looking_up(prompt.options.tools[0].name, last.number):
                yield piece
            yield ModelFinished(reason=FinishReason.TOOL_CALLS, usage=USAGE)
            return
        for word in _answer(prompt).split(" "):
            yield TextPiece(f"{word} ")
        yield ModelFinished(reason=FinishReason.STOP, usage=USAGE)


def _looking_up(tool: str, number: int) -> Iterator[Piece]:
    first, second = f"call_{number}a", f"call_{number}b"
    yield ReasoningPiece("Let me ")
    yield ReasoningPiece("see.")
    yield ToolCallPiece(call_id=first, name=tool, arguments='{"city":')
    yield ToolCallPiece(call_id=first, name=tool, arguments='"Rome"}')
    yield ToolCallPiece(call_id=second, name=tool, arguments='{"city":"Oslo"}')


def _answer(prompt: Prompt) -> str:
    last = prompt.messages[-1]
    found = [json.loads(part.output) for part in last.parts if isinstance(part, ToolResultPart)]
    if found:
        return "Found " + " and ".join(found)
    # An instruction shows that it arrived.
    told = f"[{prompt.options.instructions}] " if prompt.options.instructions else ""
    return told + " / ".join(_heard(prompt.messages))


def _heard(messages: tuple[Message, ...]) -> list[str]:
    return [said.text for said in messages if said.role is Role.USER]
