"""A process that stores conversations in its memory is the only one that can run their turns."""

from domain.model.identifiers import ProcessId


class InMemoryProcessLease:
    """No process but this one is ever seen."""

    def __init__(self, process: ProcessId) -> None:
        """``process`` is the id of this process."""
        self.process = process

    def has_ended(self, process: ProcessId) -> bool:  # noqa: ARG002 - see the port
        """See ``ports.process_lease.ProcessLease.has_ended``."""
        return False
