"""``PRIVITY_MESSAGE_CHARACTERS`` limits what a person writes, in every protocol."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from entrypoints.settings import Settings
from tests.support.fake_model import EchoModel
from tests.support.http_client import Answer
from tests.support.native_client import NativeClient
from tests.support.service import running_service
from tests.support.v1_client import V1Client

HIGHEST = 100_000
WIDEST = "🙂"
"""Takes most bytes, both in a body and as stored."""


@pytest.fixture(params=[10, HIGHEST])
async def limit(request: pytest.FixtureRequest) -> int:
    characters: int = request.param
    return characters


@pytest.fixture
async def program(limit: int) -> AsyncIterator[V1Client]:
    settings = Settings(
        limits=False, v1=True, message_characters=limit, model_context_tokens=1_000_000
    )
    async with running_service(settings, model=EchoModel()) as service:
        yield await V1Client.new(service.url)


def ui_message(text: str) -> dict[str, Any]:
    return {"id": "u1", "role": "user", "parts": [{"type": "text", "text": text}]}


async def post_escaped(client: NativeClient, path: str, body: dict[str, Any]) -> Answer:
    """Post a body in which every character that is not ASCII is escaped, which takes most bytes."""
    raw = json.dumps(body).encode("ascii")
    return await client.call("POST", path, raw, content_type="application/json")


async def sent_in_every_protocol(program: V1Client, text: str) -> list[Answer]:
    native = program.client
    started = await native.post("/api/chat", {"message": "Hi"})
    session = started.headers["x-session-id"]
    user = {"role": "user", "content": [{"type": "input_text", "text": text}]}
    plain, v1_items = {"role": "user", "content": text}, {"items": [user]}
    return [
        await post_escaped(native, "/api/chat", {"message": text}),
        await post_escaped(native, f"/api/chat/{session}/regenerate", {"message": text}),
        await post_escaped(native, "/api/chat", {"id": "a", "messages": [ui_message(text)]}),
        await post_escaped(native, "/api/chat", {"id": "b", "message": ui_message(text)}),
        await program.post("/v1/responses", {"input": text}),
        await program.post("/v1/responses", {"input": [user]}),
        await program.post("/v1/chat/completions", {"model": "any", "messages": [plain]}),
        await program.post("/v1/conversations", v1_items),
        await program.post(f"/v1/conversations/{await program.conversation()}/items", v1_items),
    ]


async def test_the_longest_message_is_accepted(program: V1Client, limit: int) -> None:
    answers = await sent_in_every_protocol(program, "ä" * limit)

    assert [answer.status for answer in answers] == [200] * len(answers)


async def test_no_message_within_the_limit_makes_a_body_too_large(
    program: V1Client, limit: int
) -> None:
    answers = await sent_in_every_protocol(program, WIDEST * limit)

    # 100,000 of these characters are too many for a conversation, or for the model.
    too_long = (b"conversation_full", b"message_too_long", b"context_length_exceeded")
    assert all(
        answer.status == 200 or any(code in answer.body for code in too_long) for answer in answers
    )


async def test_a_longer_message_is_refused_with_the_real_limit(
    program: V1Client, limit: int
) -> None:
    answers = await sent_in_every_protocol(program, "a" * (limit + 1))

    assert [answer.status for answer in answers] == [413] * len(answers)
    assert all(f"at most {limit:,} characters".encode() in answer.body for answer in answers)


async def test_the_page_knows_the_limit(program: V1Client, limit: int) -> None:
    words = (await program.get("/page/words.en.json")).document

    assert words["messageCharacters"] == limit
