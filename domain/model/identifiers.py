"""Names of things. All of them are made by the server, except a user message's own id."""

import re
from typing import Final, NewType
from uuid import UUID

from attrs import field, frozen
from attrs.validators import instance_of

from domain.model.errors import InvalidInput

SessionId = NewType("SessionId", str)
"""Names a conversation: a UUID (version 4 or 8) in its canonical lower-case form."""

TurnId = NewType("TurnId", str)
"""Names one turn of one conversation: random, 32 hex digits."""

MessageId = NewType("MessageId", str)
"""Names a message within its conversation: 1 to 64 of ``A-Za-z0-9_-``."""

OWNER_SECRET_BYTES: Final = 32

_MESSAGE_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


@frozen(kw_only=True)
class Owner:
    """Who holds the client key. Knowing a session id without being its owner opens nothing.

    Attributes:
        secret: the client's half of the key, 32 bytes; never shown, logged or stored.
    """

    secret: bytes = field(repr=False, validator=instance_of(bytes))

    @secret.validator
    def _has_full_length(self, _: object, secret: bytes) -> None:
        if len(secret) != OWNER_SECRET_BYTES:
            raise ValueError(f"an owner's secret has {OWNER_SECRET_BYTES} bytes")


@frozen
class ConversationRef:
    """One conversation of one owner: what every read and write of it names.

    The two travel together, so that no call can leave out whose conversation it is.
    """

    owner: Owner
    session_id: SessionId


@frozen
class TurnRef:
    """One turn of one conversation."""

    conversation: ConversationRef
    turn_id: TurnId


def session_id(text: str) -> SessionId:
    """``text`` as a session id.

    Raises:
        InvalidInput: ``session_id_malformed``, it is no UUID in canonical form.
    """
    try:
        canonical = str(UUID(text))
    except ValueError:
        canonical = ""
    if not text or canonical != text:
        raise InvalidInput("session_id_malformed", "A session id is a UUID.", field="sessionId")
    return SessionId(text)


def message_id(text: str) -> MessageId:
    """``text`` as the id of a message.

    Raises:
        InvalidInput: ``message_id_malformed``, it is not 1 to 64 of ``A-Za-z0-9_-``.
    """
    if not _MESSAGE_ID.fullmatch(text):
        raise InvalidInput(
            "message_id_malformed", "A message id is 1 to 64 of A-Z a-z 0-9 _ -.", field="messageId"
        )
    return MessageId(text)
