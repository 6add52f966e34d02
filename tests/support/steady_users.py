"""People who go on talking whatever happens, and remember what was acknowledged to them."""

import asyncio
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

from attrs import Factory, define

from tests.support.event_stream import kinds, text_of
from tests.support.http_client import Answer
from tests.support.native_client import NativeClient

_PATIENCE = 60


@define
class Tally:
    """How requests ended, of everybody together."""

    counted: Counter[str] = Factory(Counter)
    _changed: asyncio.Condition = Factory(asyncio.Condition)

    async def note(self, outcome: str) -> None:
        async with self._changed:
            self.counted[outcome] += 1
            self._changed.notify_all()

    async def more(self, outcome: str, count: int) -> None:
        """Return once so many more requests have ended like this."""
        wanted = self.counted[outcome] + count
        async with asyncio.timeout(_PATIENCE), self._changed:
            await self._changed.wait_for(lambda: self.counted[outcome] >= wanted)


@define
class SteadyUser:
    """Somebody with one conversation."""

    client: NativeClient
    name: str
    tally: Tally
    session_id: str | None = None
    heard: list[tuple[str, str]] = Factory(list)

    async def talk(self, has_enough: Callable[[], bool]) -> None:
        number = 0
        while not has_enough():
            number += 1
            await self.tally.note(await self.say(f"{self.name}-{number}"))

    async def say(self, text: str) -> str:
        """How it ended."""
        answer = await self.client.say(text, self.session_id)
        if answer.status != 200:
            return f"{answer.status} {answer.code}"
        self.session_id = answer.session_id
        if not is_whole(answer):
            return answer.events[-1].kind
        self.heard.append((text, text_of(answer.events)))
        return "saved"

    async def lost(self) -> list[tuple[str, str]]:
        """What was acknowledged and is not, in this order, in the history exactly once."""
        kept = replies_in(await self.client.transcript(str(self.session_id)))
        return [] if [one for one in kept if one in self.heard] == self.heard else self.heard


def is_whole(answer: Answer) -> bool:
    return answer.clean and "finish" in kinds(answer.events)


def replies_in(history: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Question and answer of every turn that has one."""
    return [
        (asked, reply)
        for (role, asked), (other, reply) in pairwise(history)
        if (role, other) == ("user", "assistant")
    ]
