"""New ids."""

from typing import Protocol

from domain.model.identifiers import MessageId, ProcessId, SessionId, TurnId


class IdentifierSource(Protocol):
    """Generates ids that are unique and cannot be guessed."""

    def session_id(self) -> SessionId:
        """A new session id: UUID version 4."""
        ...

    def turn_id(self) -> TurnId:
        """A new turn id."""
        ...

    def process_id(self) -> ProcessId:
        """A new id for this process."""
        ...

    def message_id(self) -> MessageId:
        """A new message id."""
        ...
