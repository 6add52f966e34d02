"""Users who keep sending after any failure, and record what the service acknowledged."""

import asyncio
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

from attrs import Factory, define

from tests.support.event_stream import kinds, text_of
from tests.support.http_client import Answer
from tests.support.native_client import NativeClient

_TIMEOUT_SECONDS = 60


@define
class Tally:
    """Counts how the requests of all users ended."""

    counted: Counter[str] = Factory(Counter)
    _changed: asyncio.Condition = Factory(asyncio.Condition)

    async def record(self, outcome: str) -> None:
        async with self._changed:
            self.counted[outcome] += 1
            self._changed.notify_all()

    async def wait_for_more(self, outcome: str, count: int) -> None:
        """Wait until ``count`` more requests have ended with this outcome."""
        target = self.counted[outcome] + count
        async with asyncio.timeout(_TIMEOUT_SECONDS), self._changed:
            await self._changed.wait_for(lambda: self.counted[outcome] >= target)


@define
class SteadyUser:
    """A user with one conversation."""

    client: NativeClient
    name: str
    tally: Tally
    session_id: str | None = None
    acknowledged: list[tuple[str, str]] = Factory(list)

    async def talk(self, has_enough: Callable[[], bool]) -> None:
        number = 0
        while not has_enough():
            number += 1
            await self.tally.record(await self.send(f"{self.name}-{number}"))

    async def send(self, text: str) -> str:
        """Send a message; returns how the request ended."""
        answer = await self.client.send(text, self.session_id)
        if answer.status != 200:
            return f"{answer.status} {answer.code}"
        self.session_id = answer.session_id
        if not is_complete(answer):
            return answer.events[-1].kind
        self.acknowledged.append((text, text_of(answer.events)))
        return "saved"

    async def lost(self) -> list[tuple[str, str]]:
        """All acknowledged replies; none if the history has each of them once and in order."""
        stored = replies_in(await self.client.transcript(str(self.session_id)))
        found = [reply for reply in stored if reply in self.acknowledged]
        return [] if found == self.acknowledged else self.acknowledged


def is_complete(answer: Answer) -> bool:
    return answer.clean and "finish" in kinds(answer.events)


def replies_in(history: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Question and reply of every turn that has a reply."""
    return [
        (question, reply)
        for (first_role, question), (second_role, reply) in pairwise(history)
        if (first_role, second_role) == ("user", "assistant")
    ]
