"""A client of the native protocol."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final

from tests.support.http_client import JSON, Answer, Client, LiveAnswer

_TIMEOUT_SECONDS: Final = 30


class NativeClient(Client):
    """One user, in one browser."""

    async def get_key(self) -> None:
        """Get a client key, and use it as the cookie from now on."""
        answer = await self.post("/api/client-key", {})
        assert answer.status == 201, answer.body
        self.cookie = f"privity={answer.document['clientKey']}"

    async def send(self, text: str, session_id: str | None = None, **members: Any) -> Answer:
        """Send a message and read its whole stream."""
        return await self.post("/api/chat", message_body(text, session_id, members))

    async def send_for_document(
        self, text: str, session_id: str | None = None, **members: Any
    ) -> dict[str, Any]:
        """Send a message and get its reply as one JSON document."""
        answer = await self.post("/api/chat", message_body(text, session_id, members), **JSON)
        assert answer.status == 200, answer.body
        return answer.document

    @asynccontextmanager
    async def streaming(
        self, text: str, session_id: str | None = None, *, key: str = "", **members: Any
    ) -> AsyncIterator[LiveAnswer]:
        """Send a message and read its stream as it comes; ``key`` is the Idempotency-Key."""
        body = json.dumps(message_body(text, session_id, members)).encode()
        key_header = {"idempotency_key": key} if key else {}
        headers = {"content_type": "application/json", **key_header}
        async with self.open("POST", "/api/chat", body, **headers) as live:
            assert live.status == 200, await live.whole()
            yield live

    @asynccontextmanager
    async def resume(self, session_id: str, cursor: str = "") -> AsyncIterator[LiveAnswer]:
        """The running reply from its first chunk, or after a cursor."""
        headers = {"last_event_id": cursor} if cursor else {}
        async with self.open("GET", f"/api/chat/{session_id}/stream", **headers) as live:
            yield live

    async def stop(self, session_id: str, turn_id: str | None = None) -> dict[str, Any]:
        body = {} if turn_id is None else {"turnId": turn_id}
        answer = await self.post(f"/api/chat/{session_id}/stop", body)
        assert answer.status == 200, answer.body
        return answer.document

    async def history(self, session_id: str, **parameters: object) -> Answer:
        query = "".join(f"&{name}={value}" for name, value in parameters.items())
        return await self.get(f"/api/chat?sessionId={session_id}{query}")

    async def transcript(self, session_id: str) -> list[tuple[str, str]]:
        """Role and text of each message in the history."""
        answer = await self.history(session_id)
        assert answer.status == 200, answer.body
        return [(message["role"], message["content"]) for message in answer.document["messages"]]

    async def turn(self, session_id: str) -> dict[str, Any]:
        """The newest turn in the history."""
        turn: dict[str, Any] = (await self.history(session_id)).document["turn"]
        return turn

    async def has_ended(self, session_id: str) -> bool:
        """Whether no reply is being written."""
        return bool((await self.turn(session_id))["status"] != "open")


def message_body(
    text: str, session_id: str | None = None, members: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    session = {} if session_id is None else {"sessionId": session_id}
    return {"message": text, **session, **(members or {})}


def cookie_of(answer: Answer) -> tuple[str, str, str]:
    """Name, value and attributes of the cookie that the answer sets."""
    pair, _, attributes = answer.headers["set-cookie"].partition("; ")
    name, _, value = pair.partition("=")
    return name, value, attributes


def retention_left(document: Mapping[str, Any]) -> timedelta:
    """The time until the conversation of this document expires."""
    expires = datetime.fromisoformat(document["expiresAt"])
    return expires - datetime.now(expires.tzinfo)


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Return once ``holds`` returns True; for conditions that only a request can check."""
    async with asyncio.timeout(_TIMEOUT_SECONDS):
        while not await holds():
            pass
