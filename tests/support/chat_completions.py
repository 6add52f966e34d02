"""Chat completions as plain requests."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.support.fake_model import FakeModel, ModelReply
from tests.support.http_client import Answer, LiveAnswer
from tests.support.v1_client import V1Client

PATH = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "Hello?"}]


async def complete(program: V1Client, messages: Any = HELLO, **members: Any) -> Answer:
    headers = members.pop("headers", {})
    return await program.post(PATH, {"messages": messages, **members}, **headers)


@asynccontextmanager
async def completing(
    program: V1Client, messages: Any = HELLO, **members: Any
) -> AsyncIterator[LiveAnswer]:
    """A streamed completion, read as it arrives."""
    body = json.dumps({"messages": messages, "stream": True, **members}).encode()
    async with program.open("POST", PATH, body, content_type="application/json") as live:
        yield live


@asynccontextmanager
async def streaming(
    program: V1Client, fake_model: FakeModel, **members: Any
) -> AsyncIterator[tuple[LiveAnswer, ModelReply]]:
    """A streamed completion that begins with "Hel", and its reply."""

    async def begin() -> ModelReply:
        model_reply = await fake_model.next_reply()
        model_reply.send_text("Hel")
        return model_reply

    beginning = asyncio.create_task(begin())
    async with completing(program, **members) as live:
        yield live, await beginning
