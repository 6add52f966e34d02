"""Recognises repeated requests, so that none of them is answered or stored twice.

A request with an Idempotency-Key is recognised while its turn is among the last 32 that had a key.
If it is the newest turn, the repeat joins it. If it is an older one, the repeat is rejected.
A key that a failed turn released is not remembered.
"""

from collections.abc import Sequence
from typing import Final

from domain.model.conversation import Conversation
from domain.model.errors import IdempotencyKeyReused, RequestAlreadyAnswered
from domain.model.identifiers import MessageId
from domain.model.message import Part, Role, is_same_content
from domain.model.turn import IdempotencyKey, Turn, TurnStatus

REMEMBERED_KEYS: Final = 32
"""How many keys a conversation remembers, including the newest turn's."""


def turn_for_key(conversation: Conversation, idempotency: IdempotencyKey | None) -> Turn | None:
    """The newest turn if its request had this key, so that a retry joins it; else None.

    Raises:
        IdempotencyKeyReused: the newest turn has this key, but its request was another one.
        RequestAlreadyAnswered: an older turn had this key.
    """
    if idempotency is None:
        return None
    turn = conversation.turn
    newest = None if turn is None else turn.idempotency
    if newest is None or newest.digest != idempotency.digest:
        if idempotency.remembered in conversation.earlier_keys:
            raise RequestAlreadyAnswered
        return None
    if newest.body_digest != idempotency.body_digest:
        raise IdempotencyKeyReused
    return turn


def remembers_key(conversation: Conversation, idempotency: IdempotencyKey | None) -> bool:
    """Whether a turn of the conversation had this key, whatever its request was."""
    if idempotency is None:
        return False
    newest = conversation.turn.idempotency if conversation.turn else None
    is_newest = newest is not None and newest.digest == idempotency.digest
    return is_newest or idempotency.remembered in conversation.earlier_keys


def remembered_keys(conversation: Conversation) -> tuple[bytes, ...]:
    """The earlier keys that the conversation remembers once another turn is opened."""
    turn = conversation.turn
    if turn is None or turn.idempotency is None:
        return conversation.earlier_keys
    keys = (*conversation.earlier_keys, turn.idempotency.remembered)
    return keys[1 - REMEMBERED_KEYS :]


def has_replied_since(conversation: Conversation, number: int) -> bool:
    """Whether a turn after turn ``number`` has a reply."""
    return any(
        message.role is Role.ASSISTANT and message.turn > number
        for message in conversation.messages
    )


def is_unanswered(conversation: Conversation) -> bool:
    """Whether the assistant wrote no message, and the newest turn, if there is one, has failed."""
    turn = conversation.turn
    has_failed = turn is None or turn.status is TurnStatus.FAILED
    return has_failed and all(
        message.role is not Role.ASSISTANT for message in conversation.messages
    )


def is_being_answered(
    conversation: Conversation, message_id: MessageId, parts: Sequence[Part]
) -> bool:
    """Whether the open turn replies to this very message, so that a repeated request joins it."""
    if conversation.open_turn is None or not conversation.messages:
        return False
    last = conversation.messages[-1]
    return last.id == message_id and is_same_content(last.parts, parts)
