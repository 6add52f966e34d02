"""Changes to a conversation, ready for ``update``."""

from functools import partial
from typing import Any

from domain.model.conversation import Conversation
from domain.model.message import FinishReason
from domain.service.turn_lifecycle import fail, finish, interrupt, settle
from ports.conversation_store import Change
from tests.support.builders import pieces_of, turn_id, with_answer, with_question, with_user_message
from tests.support.clocks import NOON


def asking(text: str = "Hello?", number: int = 1, **members: Any) -> Change:
    return partial(with_question, text=text, number=number, **members)


def answering(text: str = "Hi!", number: int = 1, **members: Any) -> Change:
    return partial(with_answer, text=text, number=number, **members)


def adding_message(text: str) -> Change:
    """Adds a message without opening a turn."""
    return partial(with_user_message, text=text)


def finishing(number: int = 1) -> Change:
    pieces = pieces_of("Hi!")
    return lambda conversation: finish(
        conversation, turn_id(number), pieces, NOON, reason=FinishReason.STOP
    )


def interrupting(number: int = 1) -> Change:
    return lambda conversation: interrupt(conversation, turn_id(number), pieces_of("H"), NOON)


def failing(number: int = 1) -> Change:
    return lambda conversation: fail(
        conversation, turn_id(number), pieces_of("H"), NOON, "model_failed"
    )


def settling(number: int = 1) -> Change:
    return lambda conversation: settle(conversation, turn_id(number), pieces_of("H"), NOON)


def unchanged(conversation: Conversation) -> Conversation:
    return conversation
