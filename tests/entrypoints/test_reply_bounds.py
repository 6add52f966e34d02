"""A model that never ends: its reply is truncated where one more piece would not fit."""

import pytest

from domain.model.identifiers import TurnRef
from domain.model.limits import MAX_REPLY_BYTES, PART_OVERHEAD_BYTES
from domain.model.message import FinishReason, ReasoningPart, TextPart, ToolCallPart
from domain.model.piece import ModelPiece, ReasoningPiece, TextPiece, ToolCallPiece
from domain.model.turn import Outcome
from domain.service.reply_continuation import continue_reply
from domain.service.turn_lifecycle import interrupt
from tests.support.builders import (
    ID,
    OWNER,
    REF,
    a_conversation,
    a_new_turn,
    turn_id,
    with_question,
)
from tests.support.clocks import NOON
from tests.support.fake_model import InstantModel
from tests.support.harness import WHEN_IT_COMES, a_harness

KIB = "=" * 1_024


def a_call(arguments: str) -> ToolCallPiece:
    return ToolCallPiece(call_id="c" * 600, name="n" * 424, arguments=arguments)


@pytest.mark.parametrize(
    ("piece", "kept"),
    [
        (TextPiece(KIB), TextPart(KIB * 256)),
        (ReasoningPiece(KIB), ReasoningPart(KIB * 256)),
        (a_call(""), ToolCallPart(call_id="c" * 600, name="n" * 424, arguments="")),
        (a_call(KIB), ToolCallPart(call_id="c" * 600, name="n" * 424, arguments=KIB * 128)),
    ],
)
async def test_a_reply_over_the_limit_finishes_with_the_reason_length(
    piece: ModelPiece, kept: object
) -> None:
    harness = a_harness(InstantModel(*[piece] * 300))
    await harness.store.create(OWNER, with_question(a_conversation()))

    await harness.run_turn(with_question(a_conversation()))

    stored = await harness.stored(ID)
    assert stored.turn is not None
    end = (await harness.log.read(TurnRef(REF, stored.turn.id), 256, WHEN_IT_COMES)).end
    assert end is not None
    assert (end.outcome, end.finish_reason) == (Outcome.FINISHED, FinishReason.LENGTH)
    assert stored.messages[-1].parts == (kept,)


async def test_a_reply_that_just_fits_is_whole() -> None:
    harness = a_harness(InstantModel("=" * MAX_REPLY_BYTES))
    await harness.store.create(OWNER, with_question(a_conversation()))

    await harness.run_turn(with_question(a_conversation()))

    assert (await harness.stored(ID)).messages[-1].text == "=" * MAX_REPLY_BYTES


async def test_empty_pieces_reach_the_limit_too() -> None:
    harness = a_harness(InstantModel(*[TextPiece("")] * (MAX_REPLY_BYTES + 9)))
    await harness.store.create(OWNER, with_question(a_conversation()))

    await harness.run_turn(with_question(a_conversation()))

    stored = await harness.stored(ID)
    assert stored.messages[-1].finish_reason is FinishReason.LENGTH


async def test_parts_of_a_reply_count_more_than_their_text() -> None:
    pieces: list[ModelPiece] = [TextPiece("a"), ReasoningPiece("b")]
    harness = a_harness(InstantModel(*pieces * 5_000))
    await harness.store.create(OWNER, with_question(a_conversation()))

    await harness.run_turn(with_question(a_conversation()))

    reply = (await harness.stored(ID)).messages[-1]
    assert reply.finish_reason is FinishReason.LENGTH
    assert len(reply.parts) == 1 + (MAX_REPLY_BYTES - 1) // (1 + PART_OVERHEAD_BYTES)


async def test_a_continued_reply_counts_as_a_whole() -> None:
    harness = a_harness(InstantModel(*[TextPiece(KIB)] * 300))
    cut = interrupt(with_question(a_conversation()), turn_id(), [TextPiece(KIB * 200)], NOON)
    opened = continue_reply(cut, a_new_turn(2))
    await harness.store.create(OWNER, opened)

    await harness.run_turn(opened)

    reply = (await harness.stored(ID)).messages[-1]
    assert reply.finish_reason is FinishReason.LENGTH
    assert reply.parts == (TextPart(KIB * 255),)
