"""People who repeat what they say until it is acknowledged, and remember what was."""

import asyncio
import random
from collections import Counter
from typing import Final, Protocol

from attrs import Factory, define

from tests.support.event_stream import kinds, text_of
from tests.support.http_client import Answer
from tests.support.native_client import NativeClient
from tests.support.ordered_model import an_order, told

PIECES: Final = 6
PAUSE: Final = 20
LONG_ENOUGH: Final = 100
"""So many messages, and another conversation is begun."""


class Service(Protocol):
    """Where people may go."""

    @property
    def urls(self) -> list[str]: ...


@define
class Talk:
    """One conversation, and every question with its reply that was acknowledged in it."""

    session_id: str | None = None
    acknowledged: list[tuple[str, str]] = Factory(list)


@define
class RetryingUser:
    """Somebody who says one message after the other, each under a key of its own."""

    name: str
    bearer: str
    chance: random.Random
    outcomes: Counter[str]
    talks: list[Talk] = Factory(lambda: [Talk()])
    sent: int = 0

    async def speak(self, service: Service) -> None:
        """One message, repeated until its turn has ended."""
        self.sent += 1
        if self.sent % LONG_ENOUGH == 0:
            self.talks.append(Talk())
        name = f"{self.name}-{self.sent}"
        while not await self._has_ended(service, name):  # noqa: ASYNC110 - as people wait
            await asyncio.sleep(self.chance.uniform(0.02, 0.3))

    async def _has_ended(self, service: Service, name: str) -> bool:
        try:
            answer = await self._asked(service, name)
        except (OSError, EOFError, TimeoutError):
            self.outcomes["connection lost"] += 1
            return False
        outcome = self._outcome(answer, name)
        self.outcomes[outcome] += 1
        # A dead process's turn, settled with what was logged, is said and not to be said again.
        return outcome in ("acknowledged", "interrupted")

    async def _asked(self, service: Service, name: str) -> Answer:
        client = self.at(self.chance.choice(service.urls))
        talk = self.talks[-1]
        named = {} if talk.session_id is None else {"sessionId": talk.session_id}
        body = {"message": an_order(name, PIECES, PAUSE), **named}
        return await client.post("/api/chat", body, idempotency_key=f"key-{name}")

    def _outcome(self, answer: Answer, name: str) -> str:
        if answer.status != 200:
            return f"{answer.status} {answer.code}"
        if not answer.clean:
            return "broken off"
        talk = self.talks[-1]
        talk.session_id = talk.session_id or answer.session_id
        assert answer.session_id == talk.session_id, "a conversation was restarted"
        if "finish" not in kinds(answer.events):
            return "interrupted"
        assert text_of(answer.events) == told(name, PIECES)
        talk.acknowledged.append((an_order(name, PIECES, PAUSE), told(name, PIECES)))
        return "acknowledged"

    def at(self, url: str) -> NativeClient:
        return NativeClient(url, authorization=f"Bearer {self.bearer}")

    async def kept(self, talk: Talk, service: Service) -> list[tuple[str, str]]:
        """Every question that is stored, with the reply behind it, empty where there is none."""
        client = self.at(service.urls[0])
        history = (await client.history(str(talk.session_id), limit=500)).document
        messages = [(said["role"], said["content"]) for said in history["messages"]]
        behind = [*messages[1:], ("user", "")]
        return [
            (text, reply if answering == "assistant" else "")
            for (role, text), (answering, reply) in zip(messages, behind, strict=True)
            if role == "user"
        ]
