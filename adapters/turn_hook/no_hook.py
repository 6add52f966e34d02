"""The hook of a service that has none."""

from domain.model.preparation import NOTHING_PREPARED, Preparation, Question


class NoHook:
    """Wants nothing. The use cases do not call it, because their policy has no hook."""

    async def prepare(self, question: Question) -> Preparation:  # noqa: ARG002 - the port's
        """See ``TurnHook.prepare``."""
        return NOTHING_PREPARED
