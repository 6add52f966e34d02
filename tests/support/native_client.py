"""What people do with the native protocol, for tests."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final

from tests.support.http_client import JSON, Answer, Client, LiveAnswer

_PATIENCE: Final = 30


class NativeClient(Client):
    """Somebody at a browser."""

    async def say(self, text: str, session_id: str | None = None, **members: Any) -> Answer:
        """A message, and its whole streamed reply."""
        return await self.post("/api/chat", a_message(text, session_id, members))

    async def ask(self, text: str, session_id: str | None = None, **members: Any) -> dict[str, Any]:
        """A message, and its reply as a document."""
        answer = await self.post("/api/chat", a_message(text, session_id, members), **JSON)
        assert answer.status == 200, answer.body
        return answer.document

    @asynccontextmanager
    async def streaming(
        self, text: str, session_id: str | None = None, *, key: str = "", **members: Any
    ) -> AsyncIterator[LiveAnswer]:
        """A message, and its reply while it comes; ``key`` is the Idempotency-Key."""
        body = json.dumps(a_message(text, session_id, members)).encode()
        named = {"idempotency_key": key} if key else {}
        headers = {"content_type": "application/json", **named}
        async with self.open("POST", "/api/chat", body, **headers) as live:
            assert live.status == 200, await live.whole()
            yield live

    @asynccontextmanager
    async def resume(self, session_id: str, cursor: str = "") -> AsyncIterator[LiveAnswer]:
        """The running reply from its first chunk, or behind a cursor."""
        seen = {"last_event_id": cursor} if cursor else {}
        async with self.open("GET", f"/api/chat/{session_id}/stream", **seen) as live:
            yield live

    async def stop(self, session_id: str, turn_id: str | None = None) -> dict[str, Any]:
        named = {} if turn_id is None else {"turnId": turn_id}
        answer = await self.post(f"/api/chat/{session_id}/stop", named)
        assert answer.status == 200, answer.body
        return answer.document

    async def history(self, session_id: str, **query: object) -> Answer:
        wanted = "".join(f"&{name}={value}" for name, value in query.items())
        return await self.get(f"/api/chat?sessionId={session_id}{wanted}")

    async def transcript(self, session_id: str) -> list[tuple[str, str]]:
        """Who said what, as the history has it."""
        answer = await self.history(session_id)
        assert answer.status == 200, answer.body
        return [(said["role"], said["content"]) for said in answer.document["messages"]]

    async def turn(self, session_id: str) -> dict[str, Any]:
        """The newest turn, as the history has it."""
        turn: dict[str, Any] = (await self.history(session_id)).document["turn"]
        return turn

    async def has_ended(self, session_id: str) -> bool:
        """Whether no reply is being written."""
        return bool((await self.turn(session_id))["status"] != "open")


def a_message(
    text: str, session_id: str | None = None, members: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    named = {} if session_id is None else {"sessionId": session_id}
    return {"message": text, **named, **(members or {})}


def cookie_of(answer: Answer) -> tuple[str, str, str]:
    """Name, value and attributes of the cookie that was given."""
    pair, _, attributes = answer.headers["set-cookie"].partition("; ")
    name, _, value = pair.partition("=")
    return name, value, attributes


def stay_of(document: Mapping[str, Any]) -> timedelta:
    """How long the conversation of this document still stays."""
    expires = datetime.fromisoformat(document["expiresAt"])
    return expires - datetime.now(expires.tzinfo)


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Return once ``holds`` does; for what only a request can tell."""
    async with asyncio.timeout(_PATIENCE):
        while not await holds():
            pass
