"""A model that never ends: its reply is cut where one more piece would not fit."""

import pytest

from domain.model.limits import MAX_REPLY_BYTES
from domain.model.message import FinishReason, ReasoningPart, TextPart, ToolCallPart
from domain.model.piece import Piece, ReasoningPiece, TextPiece, ToolCallPiece
from domain.model.turn import Outcome, TurnEnd
from tests.support.builders import ID, OWNER, a_conversation, asked
from tests.support.fakes import Calm, Saying
from tests.support.harness import WHEN_IT_COMES, a_room

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
async def test_it_ends_with_the_reason_length(piece: Piece, kept: object) -> None:
    room = a_room(Saying(*[piece] * 300))
    await room.store.create(OWNER, asked(a_conversation()))

    await room.run_turn(OWNER, asked(a_conversation()), Calm())

    stored = await room.stored(ID)
    assert stored.turn is not None
    end = (await room.log.read(OWNER, ID, stored.turn.id, 256, WHEN_IT_COMES))[-1]
    assert isinstance(end, TurnEnd)
    assert (end.outcome, end.finish_reason) == (Outcome.FINISHED, FinishReason.LENGTH)
    assert stored.messages[-1].parts == (kept,)


async def test_one_that_just_fits_is_whole() -> None:
    room = a_room(Saying("=" * MAX_REPLY_BYTES))
    await room.store.create(OWNER, asked(a_conversation()))

    assert await room.run_turn(OWNER, asked(a_conversation()), Calm()) == MAX_REPLY_BYTES
    assert (await room.stored(ID)).messages[-1].text == "=" * MAX_REPLY_BYTES


async def test_pieces_that_carry_nothing_have_an_end_as_well() -> None:
    room = a_room(Saying(*[TextPiece("")] * (MAX_REPLY_BYTES + 9)))
    await room.store.create(OWNER, asked(a_conversation()))

    await room.run_turn(OWNER, asked(a_conversation()), Calm())

    stored = await room.stored(ID)
    assert stored.messages[-1].finish_reason is FinishReason.LENGTH
