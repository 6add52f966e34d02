"""How much may be said at once and kept in all."""

from typing import Final

MAX_MESSAGE_CHARACTERS: Final = 8_000
MAX_PAGE_CONTEXT_BYTES: Final = 8_192
MAX_TOOL_RESULT_BYTES: Final = 32_768
MAX_REPLY_BYTES: Final = 262_144
"""Of everything that a model streams in one turn: text, reasoning, tool calls. There it is cut."""
MAX_CONVERSATION_BYTES: Final = 256_000
"""As stored. A conversation that has reached it takes no further turn."""
