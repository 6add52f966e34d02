"""The size of the model's context window, as the model's server states it."""

from typing import Protocol

from attrs import frozen


@frozen(kw_only=True)
class StatedWindow:
    """What the model's server says about the model's context window.

    Attributes:
        tokens: the size, for a prompt together with its reply; None if the server does not say.
        is_final: False if the server may soon say something else, because it could not be reached
            or has not loaded the model yet.
    """

    tokens: int | None = None
    is_final: bool = True


UNREACHABLE = StatedWindow(is_final=False)
"""The server could not be asked."""


class ContextWindow(Protocol):
    """The context window of the model."""

    async def read(self) -> StatedWindow:
        """What the model's server says now. Takes a few seconds at most, and raises nothing."""
        ...
