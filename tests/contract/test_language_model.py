"""The promises of every language model: see ``ports.language_model``."""

from collections.abc import AsyncIterator

import pytest
from attrs import evolve

from domain.model.message import Role, TextPart
from domain.model.piece import ModelFinished, ToolCallPiece
from domain.model.prompt import Prompt
from ports.language_model import LanguageModel
from tests.contract.adapters import MODELS
from tests.support.builders import a_message

PROMPT = Prompt(
    system="Be brief.",
    messages=(
        a_message(1, "One"),
        a_message(2, role=Role.ASSISTANT, parts=(TextPart("Two"),)),
        a_message(3, "Three"),
    ),
    locale="en",
    reply_tokens=64,
)


@pytest.fixture(params=sorted(MODELS))
async def model(request: pytest.FixtureRequest) -> AsyncIterator[LanguageModel]:
    async with MODELS[request.param]() as model:
        yield model


async def test_pieces_come_first_and_the_finish_last(model: LanguageModel) -> None:
    *pieces, last = [piece async for piece in model.reply(PROMPT)]

    assert isinstance(last, ModelFinished)
    assert pieces
    assert all(not isinstance(piece, ModelFinished) for piece in pieces)


async def test_no_piece_is_empty(model: LanguageModel) -> None:
    pieces = [piece async for piece in model.reply(PROMPT) if not isinstance(piece, ModelFinished)]

    assert all(
        piece.arguments if isinstance(piece, ToolCallPiece) else piece.text for piece in pieces
    )


async def test_a_reply_that_was_cut_can_be_continued(model: LanguageModel) -> None:
    cut = a_message(4, role=Role.ASSISTANT, parts=(TextPart("Three and a ha"),))
    prompt = evolve(PROMPT, messages=(*PROMPT.messages, cut), continues_reply=True)
    *pieces, last = [piece async for piece in model.reply(prompt)]

    assert pieces
    assert isinstance(last, ModelFinished)


async def test_after_a_closed_reply_the_next_one_is_complete(model: LanguageModel) -> None:
    closed = model.reply(PROMPT)
    await anext(closed)
    await closed.aclose()
    *_, last = [item async for item in model.reply(PROMPT)]

    assert isinstance(last, ModelFinished)


async def test_context_and_summary_are_accepted(model: LanguageModel) -> None:
    question = evolve(PROMPT.messages[-1], page_context='{"a":1}')
    prompt = evolve(PROMPT, messages=(question,), summary="Short.")
    *_, last = [piece async for piece in model.reply(prompt)]

    assert isinstance(last, ModelFinished)


def test_a_model_has_a_name(model: LanguageModel) -> None:
    assert model.name
