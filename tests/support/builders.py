"""Values to start from: conversations, messages, turns, pieces. Tests name only what matters."""

import random
from datetime import datetime, timedelta
from typing import Any

from attrs import evolve

from domain.model.conversation import Conversation, new_conversation, with_message
from domain.model.identifiers import ConversationRef, MessageId, Owner, ProcessId, SessionId, TurnId
from domain.model.message import FinishReason, ImagePart, Message, Role, TextPart, Usage
from domain.model.piece import NumberedPiece, Piece, TextPiece
from domain.model.rate_limits import HOUR, Limit, Quota, Scope
from domain.model.turn import IdempotencyKey, Outcome, Turn, TurnEnd
from domain.service.turn_lifecycle import NewTurn, add_user_message, finish
from ports.turn_log import Batch
from tests.support.clocks import NOON

OWNER = Owner(secret=b"o" * 32)
STRANGER = Owner(secret=b"s" * 32)
ID = SessionId("6f1f4a5e-0c6b-4f0e-9d2a-0a1b2c3d4e5f")
REF = ConversationRef(OWNER, ID)
PROCESS = ProcessId("0123456789abcdef")
OTHER_ID = SessionId("7a2b3c4d-5e6f-4a1b-8c2d-3e4f5a6b7c8d")


def turn_id(number: int = 1) -> TurnId:
    return TurnId(f"{number:032x}")


def reply_id(number: int = 1) -> MessageId:
    return MessageId(f"reply-{number}")


def question_id(number: int = 1) -> MessageId:
    return MessageId(f"question-{number}")


def a_new_turn(
    number: int = 1,
    *,
    at: datetime = NOON,
    idempotency: IdempotencyKey | None = None,
    process: ProcessId | None = None,
) -> NewTurn:
    """The ``number``-th turn of a conversation, to be opened."""
    return NewTurn(
        turn_id=turn_id(number),
        reply_id=reply_id(number),
        at=at,
        process=process,
        idempotency=idempotency,
    )


def a_conversation(**members: Any) -> Conversation:
    """An empty conversation, changed by ``members``."""
    members = {"id": ID, **members}
    return evolve(new_conversation(members["id"], locale="en", at=NOON), **members)


def a_message(number: int = 1, text: str = "Hello?", **members: Any) -> Message:
    """A user's message, the ``number``-th of its conversation."""
    defaults: dict[str, Any] = {
        "id": MessageId(f"message-{number}"),
        "turn": 1,
        "role": Role.USER,
        "parts": (TextPart(text),),
        "created_at": NOON,
    }
    return Message(number=number, **{**defaults, **members})


def png(size: int = 100) -> bytes:
    """Bytes that begin as a PNG does; like those of an image, they cannot be compressed."""
    beginning = b"\x89PNG\r\n\x1a\n"
    return beginning + random.Random(size).randbytes(size - len(beginning))


def an_image(size: int = 100) -> ImagePart:
    """An image of ``size`` bytes."""
    return ImagePart(media_type="image/png", data=png(size))


def with_user_message(
    conversation: Conversation, text: str = "Hello?", **members: Any
) -> Conversation:
    """The conversation with one more message, added without opening a turn."""
    return with_message(conversation, a_message(conversation.next_number, text, **members))


def with_question(
    conversation: Conversation,
    text: str = "Hello?",
    number: int = 1,
    *,
    at: datetime = NOON,
    page_context: str | None = None,
) -> Conversation:
    """The conversation with its ``number``-th turn opened by a user message."""
    return add_user_message(
        conversation,
        a_new_turn(number, at=at),
        question_id(number),
        (TextPart(text),),
        page_context=page_context,
    )


def pieces_of(*texts: str) -> list[Piece]:
    return [TextPiece(text) for text in texts]


def with_answer(
    conversation: Conversation, text: str = "Hi!", number: int = 1, *, at: datetime = NOON
) -> Conversation:
    """The conversation with its open turn, the ``number``-th, finished."""
    return finish(
        conversation, turn_id(number), pieces_of(text), at, reason=FinishReason.STOP, usage=None
    )


def after_turns(count: int) -> Conversation:
    """A conversation with ``count`` questions and their answers."""
    conversation = a_conversation()
    for number in range(1, count + 1):
        conversation = with_question(conversation, f"question {number}", number)
        conversation = with_answer(conversation, f"answer {number}", number)
    return conversation


def texts_of(conversation: Conversation) -> list[str]:
    return [message.text for message in conversation.messages]


AT_ONCE = timedelta()
BRIEFLY = timedelta(milliseconds=1)
LONG = timedelta(seconds=20)
END = TurnEnd(
    outcome=Outcome.FINISHED,
    finish_reason=FinishReason.STOP,
    usage=Usage(input_tokens=1, output_tokens=2),
    expires_at=NOON,
)


def numbered(*texts: str, first: int = 1) -> list[NumberedPiece]:
    return [NumberedPiece(number, TextPiece(text)) for number, text in enumerate(texts, first)]


def batch_of(*texts: str, first: int = 1, end: TurnEnd | None = None) -> Batch:
    return Batch(pieces=numbered(*texts, first=first), end=end)


def turn_of(conversation: Conversation) -> Turn:
    assert conversation.turn is not None
    return conversation.turn


def a_limit(
    quota: Quota, amount: int, scope: Scope = Scope.ADDRESS, window: timedelta | None = HOUR
) -> Limit:
    return Limit(quota=quota, scope=scope, amount=amount, window=window)
