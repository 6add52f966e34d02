"""Users who repeat each message until it is acknowledged, and record which turns were."""

import asyncio
import random
from collections import Counter
from typing import Final, Protocol

from attrs import Factory, define

from tests.support.event_stream import kinds, text_of
from tests.support.http_client import Answer
from tests.support.instructed_model import instruction, reply_to
from tests.support.native_client import NativeClient

PIECES: Final = 6
PAUSE: Final = 20
MESSAGES_PER_CONVERSATION: Final = 100


class Service(Protocol):
    """The processes that a user can choose from."""

    @property
    def urls(self) -> list[str]: ...


@define
class AcknowledgedConversation:
    """One conversation, and question and reply of every turn that was acknowledged in it."""

    session_id: str | None = None
    turns: list[tuple[str, str]] = Factory(list)


@define
class RetryingUser:
    """A user who sends one message after another, each with its own idempotency key."""

    name: str
    client_key: str
    rng: random.Random
    outcomes: Counter[str]
    conversations: list[AcknowledgedConversation] = Factory(lambda: [AcknowledgedConversation()])
    sent: int = 0

    async def send_next(self, service: Service) -> None:
        """Send one message, and repeat it until its turn has ended."""
        self.sent += 1
        if self.sent % MESSAGES_PER_CONVERSATION == 0:
            self.conversations.append(AcknowledgedConversation())
        name = f"{self.name}-{self.sent}"
        while not await self._has_ended(service, name):  # noqa: ASYNC110 - a user who retries
            await asyncio.sleep(self.rng.uniform(0.02, 0.3))

    async def _has_ended(self, service: Service, name: str) -> bool:
        try:
            answer = await self._send(service, name)
        except (OSError, EOFError, TimeoutError):
            self.outcomes["connection lost"] += 1
            return False
        outcome = self._outcome(answer, name)
        self.outcomes[outcome] += 1
        # An interrupted turn was settled with what its dead process had logged. It is not retried.
        return outcome in ("acknowledged", "interrupted")

    async def _send(self, service: Service, name: str) -> Answer:
        client = self.client_of(self.rng.choice(service.urls))
        session_id = self.conversations[-1].session_id
        session = {} if session_id is None else {"sessionId": session_id}
        body = {"message": instruction(name, PIECES, PAUSE), **session}
        return await client.post("/api/chat", body, idempotency_key=f"key-{name}")

    def _outcome(self, answer: Answer, name: str) -> str:
        if answer.status != 200:
            return f"{answer.status} {answer.code}"
        if not answer.clean:
            return "broken off"
        conversation = self.conversations[-1]
        conversation.session_id = conversation.session_id or answer.session_id
        assert answer.session_id == conversation.session_id, "a conversation was restarted"
        if "finish" not in kinds(answer.events):
            return "interrupted"
        assert text_of(answer.events) == reply_to(name, PIECES)
        conversation.turns.append((instruction(name, PIECES, PAUSE), reply_to(name, PIECES)))
        return "acknowledged"

    def client_of(self, url: str) -> NativeClient:
        return NativeClient(url, authorization=f"Bearer {self.client_key}")

    async def stored_turns(
        self, conversation: AcknowledgedConversation, service: Service
    ) -> list[tuple[str, str]]:
        """Every stored question with its reply, which is empty if there is none."""
        client = self.client_of(service.urls[0])
        history = (await client.history(str(conversation.session_id), limit=500)).document
        messages = [(message["role"], message["content"]) for message in history["messages"]]
        following = [*messages[1:], ("user", "")]
        return [
            (text, reply if next_role == "assistant" else "")
            for (role, text), (next_role, reply) in zip(messages, following, strict=True)
            if role == "user"
        ]
