"""Characters that come in halves: a character beyond U+FFFF is two escapes in JSON, and a server
that streams may send them apart.
"""  # noqa: D205 - one sentence

from attrs import define


@define
class WholeCharacters:
    """One run of text, put together from the strings that come."""

    _half: str = ""

    def of(self, text: str) -> str:
        """What is whole of it by now; a half whose other half never comes is U+FFFD."""
        text = self._half + text
        self._half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        return mended(text[: len(text) - len(self._half)])

    def rest(self) -> str:
        """U+FFFD if only half a character came last."""
        half, self._half = self._half, ""
        return mended(half)


def mended(text: str) -> str:
    """The text with its halves joined, and those that stay alone as U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
