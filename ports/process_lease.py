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
        """True if ``process`` no longer renews its lease: it has ended, or cannot reach the store.

        The first call only begins to watch the lease, and returns False. A process does not count
        as ended merely because its lease was lost, or because the store was unreachable, frozen or
        restarted. Nothing is raised.
        """
        ...
