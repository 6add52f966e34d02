"""Checks what users send, before anything is changed."""

from itertools import accumulate
from typing import Final

from domain.model.errors import InvalidInput
from domain.model.limits import MAX_JSON_DEPTH, MAX_PAGE_CONTEXT_BYTES, MessageLimit
from domain.model.message import TextPart, utf8_length

_NOT_MARKS: Final = bytes(set(range(256)) - set(b'"[]{}'))
_SQUARE: Final = bytes.maketrans(b"{}", b"[]")
_RUN: Final = 8
_STEPS: Final = {ord("["): 1, ord("]"): -1, ord("("): _RUN, ord(")"): -_RUN}
_FLAT_ROUNDS: Final = 4


def user_text(text: str, limit: MessageLimit) -> TextPart:
    """``text`` as the content of a user message, exactly as typed.

    Raises:
        InvalidInput: ``message_empty`` (only white space), ``message_too_long`` (above ``limit``),
            ``message_not_text`` (NUL or an unpaired surrogate).
    """
    if not text.strip():
        raise InvalidInput("message_empty", "The message is empty.", field="message")
    if len(text) > limit.characters:
        why = f"A message has at most {limit.characters:,} characters."
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


def nests_too_deeply(json: bytes) -> bool:
    """Whether arrays and objects are nested more than 64 levels deep in this JSON text.

    It takes time in proportion to the length of the text. The result means nothing if the text is
    not JSON.
    """
    if json.count(b"[") + json.count(b"{") <= MAX_JSON_DEPTH:
        return False
    brackets = brackets_of(json)
    # Megabytes of brackets would take long to count one by one.
    for _ in range(_FLAT_ROUNDS):
        brackets = brackets.replace(b"[]", b"")
    deepest, _ = nesting_levels(brackets)
    return deepest > MAX_JSON_DEPTH - _FLAT_ROUNDS


def nesting_levels(brackets: bytes, level: int = 0) -> tuple[int, int]:
    """The deepest level within ``brackets``, and the level after them, if they begin at ``level``.

    They are square. For a part of a JSON text, this gives the levels of the part.
    """
    runs = brackets.replace(b"[" * _RUN, b"(").replace(b"]" * _RUN, b")")
    levels = [*accumulate(map(_STEPS.__getitem__, runs), initial=level)]
    return max(levels), levels[-1]


def brackets_of(json: bytes) -> bytes:
    """The brackets outside the strings of a JSON text, all of them square."""
    without_escapes = json.replace(b"\\\\", b"").replace(b'\\"', b"")
    marks = without_escapes.translate(_SQUARE, delete=_NOT_MARKS)
    # Two quotes in a row are an empty string, or end one string and begin the next. Removing
    # them does not change which brackets are inside a string.
    return b"".join(marks.replace(b'""', b"").split(b'"')[::2])


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
