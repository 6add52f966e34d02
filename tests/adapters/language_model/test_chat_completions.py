"""Talking to an OpenAI-compatible server: what goes out, what comes back."""

import asyncio

import pytest

from domain.model.message import FinishReason, Usage
from domain.model.piece import ModelFinished, TextPiece
from tests.support.model_client import KEY, PROMPT, QUESTION, model_at, said_by
from tests.support.model_server import (
    DONE,
    Play,
    a_reply,
    delta,
    finished,
    model_server,
    refusal,
    used,
)

HI = [
    TextPiece("H"),
    TextPiece("i"),
    ModelFinished(reason=FinishReason.STOP, usage=Usage(input_tokens=9, output_tokens=2)),
]


async def test_a_reply_streams_in_pieces_and_ends_with_reason_and_usage() -> None:
    async with model_server(a_reply("H", "i")) as server, model_at(server.url) as model:
        assert await said_by(model) == HI


async def test_the_request_is_what_every_server_of_this_kind_understands() -> None:
    async with model_server(a_reply("Hi")) as server, model_at(server.url) as model:
        await said_by(model)

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


@pytest.mark.parametrize(("key", "sent"), [(KEY, f"Bearer {KEY}"), (None, None)])
async def test_the_key_goes_as_a_bearer(key: str | None, sent: str | None) -> None:
    async with model_server(a_reply("Hi")) as server, model_at(server.url, key=key) as model:
        await said_by(model)

    assert server.headers[0].get("authorization") == sent


async def test_the_next_reply_comes_over_the_same_connection() -> None:
    async with (
        model_server(a_reply("H", "i"), a_reply("H", "i")) as server,
        model_at(server.url) as model,
    ):
        await said_by(model)
        await said_by(model)

    assert len(server.peers) == 1


async def test_usage_that_comes_late_is_waited_for() -> None:
    play = Play(parts=(delta(content="Hi"), finished(), None, used(9, 2), DONE))
    async with model_server(play) as server, model_at(server.url) as model:
        reply = model.reply(PROMPT)
        await anext(reply)
        server.go_on.set()
        last = await anext(reply)

    assert last == HI[-1]


async def test_a_reply_may_end_without_usage_and_without_done() -> None:
    play = Play(parts=(delta(content="Hi"), finished("length")))
    async with model_server(play) as server, model_at(server.url) as model:
        said = await said_by(model)

    assert said[-1] == ModelFinished(reason=FinishReason.LENGTH)


async def test_a_server_that_does_not_hang_up_after_the_end_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("adapters.language_model.chat_completions._AFTER_THE_LAST_WORD", 0.02)
    play = Play(parts=(delta(content="Hi"), finished(), DONE), stays_open=True)
    async with model_server(play) as server, model_at(server.url) as model:
        said = await said_by(model)
        await server.left.wait()

    assert said[-1] == ModelFinished(reason=FinishReason.STOP)


async def test_leaving_a_reply_closes_the_connection_to_the_model() -> None:
    play = Play(parts=(delta(content="Hi"),), stays_open=True)
    async with model_server(play) as server, model_at(server.url) as model:
        reply = model.reply(PROMPT)
        first = await anext(reply)
        assert not server.left.is_set()
        await reply.aclose()
        await server.left.wait()

    assert first == TextPiece("Hi")


async def test_leaving_before_the_first_piece_closes_the_connection_too() -> None:
    async with (
        model_server(Play(stays_open=True)) as server,
        model_at(server.url) as model,
    ):
        waiting = asyncio.create_task(said_by(model))
        await server.asked.wait()
        waiting.cancel()
        await server.left.wait()

    assert waiting.cancelled() or waiting.cancelling()


NAMED = [
    refusal(400, message="Unrecognized request argument supplied: 'store'", param="store"),
    Play(status=422, parts=(b'{"detail":[{"type":"extra_forbidden","loc":["body","store"]}]}',)),
]


@pytest.mark.parametrize("named", NAMED)
async def test_an_extra_that_a_server_refuses_is_left_out_from_then_on(named: Play) -> None:
    async with (
        model_server(named, a_reply("H", "i"), a_reply("H", "i")) as server,
        model_at(server.url) as model,
    ):
        assert await said_by(model) == HI
        assert await said_by(model) == HI

    assert ["store" in body for body in server.bodies] == [True, False, False]


async def test_a_newer_server_gets_the_newer_name_of_the_bound() -> None:
    refused = refusal(400, message="Use 'max_completion_tokens' instead.", param="max_tokens")
    async with (
        model_server(refused, a_reply("Hi")) as server,
        model_at(server.url) as model,
    ):
        await said_by(model)

    assert "max_tokens" not in server.bodies[1]
    assert server.bodies[1]["max_completion_tokens"] == 64


async def test_privacy_is_not_given_up_for_a_refusal_that_meant_something_else() -> None:
    echo = refusal(400, message="Invalid input: 'store'")
    async with (
        model_server(echo, echo, a_reply("Hi")) as server,
        model_at(server.url) as model,
    ):
        with pytest.raises(Exception, match="refused the request"):
            await said_by(model)
        await said_by(model)

    assert server.bodies[2]["store"] is False
