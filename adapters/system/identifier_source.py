"""Ids from the operating system's randomness."""

import secrets
import uuid
from typing import Final

from domain.model.identifiers import MessageId, ProcessId, SessionId, TurnId

_TURN_BYTES: Final = 16
_PROCESS_BYTES: Final = 8
_MESSAGE_BYTES: Final = 8
"""Enough to be unique in one conversation. Few, because random bytes do not compress."""


class RandomIdentifiers:
    """Session and turn ids have at least 122 random bits, process and message ids 64."""

    def session_id(self) -> SessionId:
        """See ``ports.identifier_source.IdentifierSource.session_id``."""
        return SessionId(str(uuid.uuid4()))

    def turn_id(self) -> TurnId:
        """See ``ports.identifier_source.IdentifierSource.turn_id``."""
        return TurnId(secrets.token_hex(_TURN_BYTES))

    def process_id(self) -> ProcessId:
        """See ``ports.identifier_source.IdentifierSource.process_id``."""
        return ProcessId(secrets.token_hex(_PROCESS_BYTES))

    def message_id(self) -> MessageId:
        """See ``ports.identifier_source.IdentifierSource.message_id``."""
        return MessageId(f"msg_{secrets.token_hex(_MESSAGE_BYTES)}")
