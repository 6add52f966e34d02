"""Hooks that answer as a test decides."""

import asyncio
from collections.abc import Callable, Iterable
from itertools import chain, repeat

from domain.model.preparation import NOTHING_PREPARED, Preparation, Question
from ports.turn_hook import HookError


class ScriptedHook:
    """Answers one question after the other; nothing more once it has no more answers.

    An answer that is an error is raised.

    Attributes:
        questions: what it was asked, in order.
    """

    def __init__(self, *answers: Preparation | HookError) -> None:
        self._answers: Iterable[Preparation | HookError] = chain(answers, repeat(NOTHING_PREPARED))
        self.questions: list[Question] = []

    async def prepare(self, question: Question) -> Preparation:
        self.questions.append(question)
        answer = next(iter(self._answers))
        if isinstance(answer, HookError):
            raise answer
        return answer


class ComputingHook:
    """Answers each question with a function of it."""

    def __init__(self, answer_to: Callable[[Question], Preparation]) -> None:
        self._answer_to = answer_to

    async def prepare(self, question: Question) -> Preparation:
        return self._answer_to(question)


class SilentHook:
    """Never answers.

    Attributes:
        has_begun: set once it was asked.
        is_cancelled: whether the call was cancelled.
    """

    def __init__(self) -> None:
        self.has_begun = asyncio.Event()
        self.is_cancelled = False

    async def prepare(self, question: Question) -> Preparation:  # noqa: ARG002 - the port's
        self.has_begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.is_cancelled = True
            raise
        return NOTHING_PREPARED
