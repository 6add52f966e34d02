"""Who the assistant is."""

from typing import Protocol

from domain.model.assistant import Assistant


class AssistantProfile(Protocol):
    """Tells the assistant's profile; it was read and checked when the service started."""

    def assistant(self) -> Assistant:
        """The profile."""
        ...
