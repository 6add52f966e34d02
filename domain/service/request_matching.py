"""Whether a request was here before: retries join the turn they repeat."""

from domain.model.conversation import Conversation
from domain.model.errors import IdempotencyKeyReused
from domain.model.turn import RequestKey, Turn


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
