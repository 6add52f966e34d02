"""Names from the operating system's randomness."""

import secrets
import uuid
from typing import Final

from domain.model.identifiers import MessageId, SessionId, TurnId

_BYTES: Final = 16


class RandomIdentifiers:
    """Makes names of at least 122 random bits."""

    def session_id(self) -> SessionId:
        """See ``ports.identifier_source.IdentifierSource.session_id``."""
        return SessionId(str(uuid.uuid4()))

    def turn_id(self) -> TurnId:
        """See ``ports.identifier_source.IdentifierSource.turn_id``."""
        return TurnId(secrets.token_hex(_BYTES))

    def message_id(self) -> MessageId:
        """See ``ports.identifier_source.IdentifierSource.message_id``."""
        return MessageId(f"msg_{secrets.token_hex(_BYTES)}")
