"""Token rates that are easy to calculate with."""

from typing import Final

from attrs import frozen

from domain.model.message import ImagePart, Message, ToolCallPart, ToolResultPart, utf8_length
from domain.model.token_rates import TokenRates


@frozen(kw_only=True)
class TextRates(TokenRates):
    """Counts texts in a way of its own, and nothing else but images."""

    def of_message(self, message: Message) -> int:
        images = sum(isinstance(part, ImagePart) for part in message.parts)
        tools = (
            part.arguments if isinstance(part, ToolCallPart) else part.output
            for part in message.parts
            if isinstance(part, ToolCallPart | ToolResultPart)
        )
        return sum(map(self.of_text, (message.text, *tools))) + self.image_tokens * images


@frozen(kw_only=True)
class WordRates(TextRates):
    """Counts each word as one token."""

    def of_text(self, text: str) -> int:
        return len(text.split())


@frozen(kw_only=True)
class ByteRates(TextRates):
    """Counts each byte of text as one token."""

    def of_text(self, text: str) -> int:
        return utf8_length(text)


@frozen(kw_only=True)
class ThirdRates(TextRates):
    """Counts three bytes of text as one token."""

    def of_text(self, text: str) -> int:
        return utf8_length(text) // 3 + 1


WORDS: Final = WordRates()
BYTES: Final = ByteRates()
THIRDS: Final = ThirdRates()
