"""Size limits on what is sent and stored. Limits on text in bytes count its UTF-8 encoding."""

from typing import Final

MAX_MESSAGE_CHARACTERS: Final = 8_000
MAX_PAGE_CONTEXT_BYTES: Final = 8_192
MAX_TOOL_RESULT_BYTES: Final = 32_768
MAX_REPLY_BYTES: Final = 262_144
"""Limit on everything streamed in one turn (text, reasoning, tool calls). Longer replies are
truncated."""
PART_OVERHEAD_BYTES: Final = 32
"""Counted for each part in addition to its text, so that even empty parts are limited
in number."""
MAX_CONVERSATION_BYTES: Final = 256_000
"""Limit on a conversation as stored. No turn is opened if the conversation would exceed it."""

MAX_LANGUAGE_TAG_CHARACTERS: Final = 35
"""The length for which RFC 5646 (section 4.4.1) requires every implementation to have room."""
MAX_LANGUAGE_SUBTAGS: Final = 8
MAX_LANGUAGE_TAGS: Final = 16
"""How many of a caller's preferred languages are considered."""
MAX_JSON_DEPTH: Final = 64
"""How deeply arrays and objects may be nested in what callers and models send."""
