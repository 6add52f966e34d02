"""Whether a request was here before: retries join the turn they repeat."""

from collections.abc import Sequence

from domain.model.conversation import Conversation
from domain.model.errors import IdempotencyKeyReused
from domain.model.identifiers import MessageId
from domain.model.message import Part, Role
from domain.model.turn import RequestKey, Turn, TurnStatus


def turn_of_request(conversation: Conversation, request: RequestKey | None) -> Turn | None:
    """The newest turn if it was asked for with this key, so that a retry joins it; else absent.

    Raises:
        IdempotencyKeyReused: the key is the same, the request is not.
    """
    turn = conversation.turn
    if request is None or turn is None or turn.request is None:
        return None
    if turn.request.digest != request.digest:
        return None
    if turn.request.body_digest != request.body_digest:
        raise IdempotencyKeyReused
    return turn


def has_replied_since(conversation: Conversation, number: int) -> bool:
    """Whether the model has replied in a turn after turn ``number``."""
    return any(said.role is Role.ASSISTANT and said.turn > number for said in conversation.messages)


def is_unanswered(conversation: Conversation) -> bool:
    """Whether no reply was ever begun in it, so that its first message may be sent once more."""
    turn = conversation.turn
    has_failed = turn is None or turn.status is TurnStatus.FAILED
    return has_failed and all(said.role is Role.USER for said in conversation.messages)


def is_being_answered(
    conversation: Conversation, message_id: MessageId, parts: Sequence[Part]
) -> bool:
    """Whether the open turn replies to this very message, so that one sent twice joins it."""
    newest = conversation.messages[-1:]
    said_already = bool(newest) and (newest[0].id, newest[0].parts) == (message_id, tuple(parts))
    return conversation.open_turn is not None and said_already
