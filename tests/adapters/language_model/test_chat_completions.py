"""Requests to an OpenAI-compatible server, and the replies that come back."""

import asyncio

import pytest
from attrs import evolve

from domain.model.message import FinishReason, Usage
from domain.model.piece import ModelFinished, TextPiece
from tests.support.builders import a_message, an_image
from tests.support.model_client import KEY, PROMPT, QUESTION, collect_reply, model_at
from tests.support.model_server import (
    DONE,
    ModelResponse,
    a_reply,
    delta,
    finished,
    model_server,
    used,
)

HI = [
    TextPiece("H"),
    TextPiece("i"),
    ModelFinished(reason=FinishReason.STOP, usage=Usage(input_tokens=9, output_tokens=2)),
]


async def test_a_reply_streams_in_pieces_and_ends_with_finish_reason_and_usage() -> None:
    async with model_server(a_reply("H", "i")) as server, model_at(server.url) as model:
        assert await collect_reply(model) == HI


async def test_the_request_contains_only_what_compatible_servers_understand() -> None:
    async with model_server(a_reply("Hi")) as server, model_at(server.url) as model:
        await collect_reply(model)

    language = "Answer in the language with the tag en, unless the user writes in another."
    assert server.bodies == [
        {
            "model": "small-1",
            "messages": [
                {"role": "system", "content": f"Be brief.\n\n{language}"},
                {"role": "user", "content": QUESTION},
            ],
            "stream": True,
            "stream_options": {"include_usage": True},
            "store": False,
            "max_tokens": 64,
        }
    ]


async def test_a_request_with_large_images_is_sent() -> None:
    image = an_image(1_500_000)
    prompt = evolve(PROMPT, messages=(a_message(parts=(image, image)),))
    async with model_server(a_reply("H", "i")) as server, model_at(server.url) as model:
        assert await collect_reply(model, prompt) == HI

    assert server.headers[0]["content-type"] == "application/json"
    [_, message] = server.bodies[0]["messages"]
    assert [content["image_url"]["url"] for content in message["content"]] == [image.data_url] * 2


@pytest.mark.parametrize(("key", "sent"), [(KEY, f"Bearer {KEY}"), (None, None)])
async def test_the_api_key_is_sent_as_a_bearer_token(key: str | None, sent: str | None) -> None:
    async with model_server(a_reply("Hi")) as server, model_at(server.url, key=key) as model:
        await collect_reply(model)

    assert server.headers[0].get("authorization") == sent


async def test_the_next_reply_reuses_the_connection() -> None:
    async with (
        model_server(a_reply("H", "i"), a_reply("H", "i")) as server,
        model_at(server.url) as model,
    ):
        await collect_reply(model)
        await collect_reply(model)

    assert len(server.peers) == 1


async def test_late_usage_is_waited_for() -> None:
    response = ModelResponse(chunks=(delta(content="Hi"), finished(), None, used(9, 2), DONE))
    async with model_server(response) as server, model_at(server.url) as model:
        reply = model.reply(PROMPT)
        await anext(reply)
        server.resume.set()
        last = await anext(reply)

    assert last == HI[-1]


async def test_a_reply_may_end_without_usage_and_done() -> None:
    response = ModelResponse(chunks=(delta(content="Hi"), finished("length")))
    async with model_server(response) as server, model_at(server.url) as model:
        reply = await collect_reply(model)

    assert reply[-1] == ModelFinished(reason=FinishReason.LENGTH)


async def test_a_connection_left_open_after_the_reply_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("adapters.language_model.chat_completions._REMAINDER_SECONDS", 0.02)
    response = ModelResponse(chunks=(delta(content="Hi"), finished(), DONE), hangs=True)
    async with model_server(response) as server, model_at(server.url) as model:
        reply = await collect_reply(model)
        await server.disconnected.wait()

    assert reply[-1] == ModelFinished(reason=FinishReason.STOP)


async def test_closing_a_reply_closes_the_connection_to_the_model() -> None:
    response = ModelResponse(chunks=(delta(content="Hi"),), hangs=True)
    async with model_server(response) as server, model_at(server.url) as model:
        reply = model.reply(PROMPT)
        first = await anext(reply)
        assert not server.disconnected.is_set()
        await reply.aclose()
        await server.disconnected.wait()

    assert first == TextPiece("Hi")


async def test_cancelling_before_the_first_piece_closes_the_connection() -> None:
    async with (
        model_server(ModelResponse(hangs=True)) as server,
        model_at(server.url) as model,
    ):
        reading = asyncio.create_task(collect_reply(model))
        await server.requested.wait()
        reading.cancel()
        await server.disconnected.wait()

    assert reading.cancelled() or reading.cancelling()
