"""Turns and what is logged of them, for the suites of the turn log."""

from datetime import timedelta

from domain.model.conversation import Conversation
from domain.model.message import FinishReason, Usage
from domain.model.piece import NumberedPiece, TextPiece
from domain.model.turn import Outcome, Turn, TurnEnd
from tests.clocks import NOON

AT_ONCE = timedelta()
BRIEFLY = timedelta(milliseconds=1)
LONG = timedelta(seconds=20)
END = TurnEnd(
    outcome=Outcome.FINISHED,
    finish_reason=FinishReason.STOP,
    usage=Usage(input_tokens=1, output_tokens=2),
    forgotten_at=NOON,
)


def numbered(*texts: str, first: int = 1) -> list[NumberedPiece]:
    return [NumberedPiece(number, TextPiece(text)) for number, text in enumerate(texts, first)]


def turn_of(conversation: Conversation) -> Turn:
    assert conversation.turn is not None
    return conversation.turn
