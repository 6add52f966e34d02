"""Language models that do what a test tells them."""

import asyncio
from collections.abc import AsyncGenerator

from domain.model.message import FinishReason, Role, Usage
from domain.model.piece import ModelFinished, Piece, TextPiece
from domain.model.prompt import Prompt
from ports.language_model import ModelError

USAGE = Usage(input_tokens=7, output_tokens=3)


class EchoModel:
    """Repeats every message of the user it can see, a word at a time and at once."""

    name = "parrot"

    async def reply(self, prompt: Prompt) -> AsyncGenerator[Piece | ModelFinished, None]:
        heard = [said.text for said in prompt.messages if said.role is Role.USER]
        for word in " / ".join(heard).split(" "):
            yield TextPiece(f"{word} ")
        yield ModelFinished(reason=FinishReason.STOP, usage=USAGE)


class ModelReply:
    """One reply of a puppet; silent until it is told something."""

    def __init__(self, prompt: Prompt) -> None:
        self.prompt = prompt
        self.left = asyncio.Event()
        """Set once the service has closed the reply."""
        self._told: asyncio.Queue[Piece | ModelFinished | Exception] = asyncio.Queue()

    def say(self, *texts: str) -> None:
        for text in texts:
            self.give(TextPiece(text))

    def give(self, piece: Piece) -> None:
        self._told.put_nowait(piece)

    def finish(self, reason: FinishReason = FinishReason.STOP) -> None:
        self._told.put_nowait(ModelFinished(reason=reason, usage=USAGE))

    def fail(self, error: Exception | None = None) -> None:
        self._told.put_nowait(error or ModelError())

    async def next(self) -> Piece | ModelFinished:
        told = await self._told.get()
        if isinstance(told, Exception):
            raise told
        return told


class FakeModel:
    """Replies only what it is told; ``asked`` gives its replies as they are asked for."""

    name = "puppet"

    def __init__(self) -> None:
        self._asked: asyncio.Queue[ModelReply] = asyncio.Queue()
        self.times_asked = 0

    async def next_reply(self) -> ModelReply:
        """The next reply that somebody waits for."""
        async with asyncio.timeout(10):
            return await self._asked.get()

    async def reply(self, prompt: Prompt) -> AsyncGenerator[Piece | ModelFinished, None]:
        model_reply = ModelReply(prompt)
        self.times_asked += 1
        self._asked.put_nowait(model_reply)
        try:
            while True:
                said = await model_reply.next()
                yield said
                if isinstance(said, ModelFinished):
                    return
        finally:
            model_reply.left.set()
