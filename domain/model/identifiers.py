"""Ids and references. The server generates all ids, except message ids that a client chooses."""

import re
from typing import Final, NewType
from uuid import UUID

from attrs import field, frozen
from attrs.validators import instance_of

from domain.model.errors import InvalidInput

SessionId = NewType("SessionId", str)
"""Id of a conversation: a UUID (version 4 or 8) in its canonical lower-case form."""

TurnId = NewType("TurnId", str)
"""Id of a turn: random, 32 hex digits."""

MessageId = NewType("MessageId", str)
"""Id of a message within its conversation: 1 to 64 characters of ``A-Za-z0-9_-``."""

ProcessId = NewType("ProcessId", str)
"""Id of a process of the service, new at each start: random, 16 hex digits."""

OWNER_SECRET_BYTES: Final = 32

_MESSAGE_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


@frozen(kw_only=True)
class Owner:
    """The holder of a client key. Without the owner's key, a session id gives access to nothing.

    Attributes:
        secret: the client's half of the key, 32 bytes; never shown, logged or stored.
    """

    secret: bytes = field(repr=False, validator=instance_of(bytes))

    @secret.validator
    def _has_full_length(self, _: object, secret: bytes) -> None:
        if len(secret) != OWNER_SECRET_BYTES:
            raise ValueError(f"an owner's secret must have {OWNER_SECRET_BYTES} bytes")


@frozen
class ConversationRef:
    """A reference to one conversation of one owner.

    The owner and the session id are passed together, so that no call can omit the owner.
    """

    owner: Owner
    session_id: SessionId


@frozen
class TurnRef:
    """A reference to one turn of one conversation."""

    conversation: ConversationRef
    turn_id: TurnId


def session_id(text: str) -> SessionId:
    """``text`` as a session id.

    Raises:
        InvalidInput: ``session_id_malformed`` if it is not a UUID in canonical lower-case form.
    """
    try:
        canonical = str(UUID(text))
    except ValueError:
        canonical = ""
    if not text or canonical != text:
        why = "A session id is a UUID in lower case."
        raise InvalidInput("session_id_malformed", why, field="session_id")
    return SessionId(text)


def message_id(text: str) -> MessageId:
    """``text`` as the id of a message.

    Raises:
        InvalidInput: ``message_id_malformed`` if it is not 1 to 64 characters of ``A-Za-z0-9_-``.
    """
    if not _MESSAGE_ID.fullmatch(text):
        why = "A message id is 1 to 64 characters of A-Z a-z 0-9 _ -."
        raise InvalidInput("message_id_malformed", why, field="message_id")
    return MessageId(text)
