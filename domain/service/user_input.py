"""Checks what users send, before anything is changed."""

from domain.model.errors import InvalidInput
from domain.model.limits import MAX_MESSAGE_CHARACTERS, MAX_PAGE_CONTEXT_BYTES
from domain.model.message import TextPart, utf8_length


def user_text(text: str) -> TextPart:
    """``text`` as the content of a user message, exactly as typed.

    Raises:
        InvalidInput: ``message_empty`` (only white space), ``message_too_long`` (more than 8,000
            characters), ``message_not_text`` (NUL or an unpaired surrogate).
    """
    if not text.strip():
        raise InvalidInput("message_empty", "The message is empty.", field="message")
    if len(text) > MAX_MESSAGE_CHARACTERS:
        why = f"A message has at most {MAX_MESSAGE_CHARACTERS:,} characters."
        raise InvalidInput("message_too_long", why, field="message")
    if "\0" in text or not _is_unicode(text):
        why = "The message contains NUL or unpaired surrogate characters."
        raise InvalidInput("message_not_text", why, field="message")
    return TextPart(text)


def page_context(json_text: str) -> str:
    """``json_text`` as page context.

    Raises:
        InvalidInput: ``context_too_long`` if it has more than 8,192 bytes of UTF-8.
    """
    if utf8_length(json_text) > MAX_PAGE_CONTEXT_BYTES:
        why = f"The page context has at most {MAX_PAGE_CONTEXT_BYTES:,} bytes."
        raise InvalidInput("context_too_long", why, field="page_context")
    return json_text


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
