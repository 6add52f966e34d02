"""Which processes of the service have ended."""

from typing import Protocol

from domain.model.identifiers import ProcessId


class ProcessLease(Protocol):
    """The lease of this process, which it renews every second, and those of the others."""

    @property
    def process(self) -> ProcessId:
        """The id of this process, which its turns name."""
        ...

    def has_ended(self, process: ProcessId) -> bool:
        """True if this process has stopped renewing its lease: it has ended, or lost the store.

        The first call only begins to watch the lease, and returns False. A lease that is lost, and
        a store that is away, frozen or restarted, make no process look as if it had ended. Nothing
        is raised.
        """
        ...
