"""Who writes the replies."""

from collections.abc import AsyncGenerator
from typing import Protocol

from domain.model.piece import ModelFinished, Piece
from domain.model.prompt import Prompt


class LanguageModel(Protocol):
    """A chat model that streams."""

    @property
    def name(self) -> str:
        """What the model is called in prices, logs and metadata."""
        ...

    def reply(self, prompt: Prompt) -> AsyncGenerator[Piece | ModelFinished, None]:
        """Stream the reply: pieces as they come, none of them empty, then ``ModelFinished``.

        Closing the generator closes the connection to the model at once. A failure before the
        first piece may have been retried; after it, never.

        Raises:
            ModelError: one of its kinds, see ``ports.model_errors``.
        """
        ...
