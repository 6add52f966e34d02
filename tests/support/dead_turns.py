"""A conversation with a turn whose process has died."""

from domain.model.identifiers import ProcessId
from domain.model.message import TextPart
from domain.model.turn import IdempotencyKey
from domain.service.turn_lifecycle import add_user_message
from tests.support.builders import OWNER, REF, a_conversation, a_new_turn, numbered, question_id
from tests.support.harness import Harness, a_harness

DYING = ProcessId("fedcba9876543210")


async def a_dead_turn(*texts: str, request: IdempotencyKey | None = None) -> Harness:
    """A room in which a process died after it had logged ``texts``."""
    harness = a_harness()
    opening = a_new_turn(idempotency=request, process=DYING)
    conversation = add_user_message(a_conversation(), opening, question_id(), (TextPart("Hello?"),))
    await harness.store.create(OWNER, conversation)
    assert conversation.turn is not None
    await harness.log.append(REF, conversation.turn, numbered(*texts))
    return harness
