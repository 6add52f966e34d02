"""Language models for tests: one that echoes, one that replies at once, one that tests control."""

import asyncio
from collections.abc import AsyncGenerator

from domain.model.message import FinishReason, Role, Usage
from domain.model.piece import ModelFinished, ModelPiece, TextPiece
from domain.model.prompt import Prompt
from ports.language_model import ContextExceeded, ModelError

USAGE = Usage(input_tokens=7, output_tokens=3)
FINISHED = ModelFinished(reason=FinishReason.STOP, usage=USAGE)


class EchoModel:
    """Repeats every user message it can see, word by word and without waiting."""

    name = "echo"

    async def reply(self, prompt: Prompt) -> AsyncGenerator[ModelPiece | ModelFinished, None]:
        texts = [message.text for message in prompt.messages if message.role is Role.USER]
        for word in " / ".join(texts).split(" "):
            yield TextPiece(f"{word} ")
        yield FINISHED


class InstantModel:
    """A model that streams its reply at once, and then fails if it has an ``error``."""

    name = "instant"

    def __init__(
        self,
        *texts: str | ModelPiece,
        error: Exception | None = None,
        finished: ModelFinished = FINISHED,
    ) -> None:
        self._pieces = [TextPiece(text) if isinstance(text, str) else text for text in texts]
        self._error = error
        self._finished = finished
        self.prompts: list[Prompt] = []

    async def reply(self, prompt: Prompt) -> AsyncGenerator[ModelPiece | ModelFinished, None]:
        self.prompts.append(prompt)
        for piece in self._pieces:
            yield piece
        if self._error is not None:
            raise self._error
        yield self._finished


class NarrowModel:
    """Refuses prompts that do not fit its window together with the reply; replies at once.

    A token is two characters. ``names_numbers``: whether a refusal has the window and the tokens.
    """

    name = "narrow"

    def __init__(self, window: int, *, names_numbers: bool = True) -> None:
        self.window = window
        self.prompts: list[Prompt] = []
        self.refused: list[Prompt] = []
        self._names_numbers = names_numbers

    def tokens_of(self, prompt: Prompt) -> int:
        texts = (prompt.system, *(message.text for message in prompt.messages))
        return sum(map(len, texts)) // 2

    async def reply(self, prompt: Prompt) -> AsyncGenerator[ModelPiece | ModelFinished, None]:
        tokens = self.tokens_of(prompt)
        if tokens + prompt.reply_tokens > self.window:
            self.refused.append(prompt)
            if self._names_numbers:
                raise ContextExceeded(window=self.window, prompt_tokens=tokens)
            raise ContextExceeded
        self.prompts.append(prompt)
        yield TextPiece("Hi!")
        yield ModelFinished(
            reason=FinishReason.STOP, usage=Usage(input_tokens=tokens, output_tokens=1)
        )


class ModelReply:
    """One reply of a ``FakeModel``; it streams only what the test sends."""

    def __init__(self, prompt: Prompt) -> None:
        self.prompt = prompt
        self.closed = asyncio.Event()
        """Set once the service has closed the reply."""
        self._queue: asyncio.Queue[ModelPiece | ModelFinished | Exception] = asyncio.Queue()

    def send_text(self, *texts: str) -> None:
        for text in texts:
            self.send(TextPiece(text))

    def send(self, piece: ModelPiece) -> None:
        self._queue.put_nowait(piece)

    def finish(
        self,
        reason: FinishReason = FinishReason.STOP,
        *,
        usage: Usage = USAGE,
        dropped_options: tuple[str, ...] = (),
    ) -> None:
        self._queue.put_nowait(
            ModelFinished(reason=reason, usage=usage, dropped_options=dropped_options)
        )

    def fail(self, error: Exception | None = None) -> None:
        self._queue.put_nowait(error or ModelError())

    async def next(self) -> ModelPiece | ModelFinished:
        item = await self._queue.get()
        if isinstance(item, Exception):
            raise item
        return item


class FakeModel:
    """A model whose replies the test takes with ``next_reply`` and fills itself."""

    name = "fake"

    def __init__(self) -> None:
        self._replies: asyncio.Queue[ModelReply] = asyncio.Queue()
        self.call_count = 0

    async def next_reply(self) -> ModelReply:
        """The next reply that the service asks for."""
        async with asyncio.timeout(10):
            return await self._replies.get()

    async def reply(self, prompt: Prompt) -> AsyncGenerator[ModelPiece | ModelFinished, None]:
        model_reply = ModelReply(prompt)
        self.call_count += 1
        self._replies.put_nowait(model_reply)
        try:
            while True:
                item = await model_reply.next()
                yield item
                if isinstance(item, ModelFinished):
                    return
        finally:
            model_reply.closed.set()


class BusyModel:
    """A model whose replies to users and whose summaries the test sends.

    Attributes:
        users: the model that replies to users.
        summaries: the model that writes the summaries.
    """

    name = "busy"

    def __init__(self) -> None:
        self.users, self.summaries = FakeModel(), FakeModel()

    def reply(self, prompt: Prompt) -> AsyncGenerator[ModelPiece | ModelFinished, None]:
        return (self.summaries if prompt.asks_for_summary else self.users).reply(prompt)


class SummarizedModel:
    """A model that replies to users at once, and to requests for a summary like a ``FakeModel``.

    Attributes:
        summaries: the model that writes the summaries.
        prompts: all prompts of users.
    """

    name = "summarized"

    def __init__(self, text: str = "Hi!") -> None:
        self.summaries = FakeModel()
        # It reports no tokens, because the estimates would be learned from them.
        self._replies = InstantModel(text, finished=ModelFinished(reason=FinishReason.STOP))
        self.prompts = self._replies.prompts

    def reply(self, prompt: Prompt) -> AsyncGenerator[ModelPiece | ModelFinished, None]:
        return (self.summaries if prompt.asks_for_summary else self._replies).reply(prompt)
