"""A client of ``/v1`` that sends plain requests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from tests.support.http_client import Answer, Client, LiveAnswer
from tests.support.native_client import NativeClient


class V1Client(Client):
    """An app server that acts for one user."""

    @classmethod
    async def new(cls, url: str) -> "V1Client":
        answer = await NativeClient(url).post("/api/client-key", {})
        return cls(url, authorization=f"Bearer {answer.document['clientKey']}")

    @property
    def client(self) -> NativeClient:
        """The same user, with the native protocol."""
        return NativeClient(self.url, authorization=self.headers["authorization"])

    async def ask(self, text_or_items: Any, **members: Any) -> Answer:
        return await self.post("/v1/responses", {"input": text_or_items, **members})

    @asynccontextmanager
    async def asking(self, text_or_items: Any, **members: Any) -> AsyncIterator[LiveAnswer]:
        """A streamed response, read as it arrives."""
        body = msgspec.json.encode({"input": text_or_items, "stream": True, **members})
        typed = {"content_type": "application/json"}
        async with self.open("POST", "/v1/responses", body, **typed) as live:
            assert live.status == 200, await live.whole()
            yield live

    async def conversation(self, *texts: str) -> str:
        items = [{"role": "user", "content": text} for text in texts]
        answer = await self.post("/v1/conversations", {"items": items})
        assert answer.status == 200, answer.body
        return str(answer.document["id"])

    async def response(self, name: str) -> dict[str, Any]:
        answer = await self.get(f"/v1/responses/{name}")
        assert answer.status == 200, answer.body
        return answer.document


async def response_id(live: LiveAnswer) -> str:
    """The id of a streamed response, read from its first event."""
    return str((await live.event()).document["response"]["id"])


def error_of(answer: Answer) -> dict[str, Any]:
    """The error in OpenAI's shape; the document has no other members."""
    assert answer.headers["content-type"] == "application/json", answer.body
    assert set(answer.document) == {"error"}
    error: dict[str, Any] = answer.document["error"]
    assert {"message", "type", "param", "code"} <= set(error)
    return error
