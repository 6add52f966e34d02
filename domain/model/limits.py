"""Size limits on what is sent and stored. Limits on text in bytes count its UTF-8 encoding."""

from typing import Final

from attrs import field, frozen
from attrs.validators import ge, le

DEFAULT_MESSAGE_CHARACTERS: Final = 8_000
HIGHEST_MESSAGE_CHARACTERS: Final = 100_000
MAX_PAGE_CONTEXT_BYTES: Final = 8_192
MAX_TOOL_RESULT_BYTES: Final = 32_768
MAX_STEP_CALLS: Final = 16
"""How many calls of one step we run. The others fail."""
MAX_REPLY_BYTES: Final = 262_144
"""Limit on everything streamed in one turn (text, reasoning, tool calls). Longer replies are
truncated. If a reply that was cut is continued, the limit applies to the whole reply."""
MAX_CONTINUED_BYTES: Final = 245_760
"""A reply with more than this cannot be continued, because it would soon be truncated again."""
MAX_PARAMETER_BYTES: Final = 32_768
"""Limit on each parameter of a response, such as its instructions, as JSON."""
MAX_TOOLS_BYTES: Final = 65_536
"""Limit on the tools of a response, as JSON."""
MAX_HOOK_STATE_BYTES: Final = 16_384
"""Limit on the state that a hook keeps with a conversation, as JSON."""
MAX_PASSAGES: Final = 32
MAX_PASSAGES_BYTES: Final = 65_536
"""Limit on all passages that a hook answers for one turn: titles, URLs and texts together."""
MAX_EXCERPT_CHARACTERS: Final = 1_000
"""How much of a passage is stored with the reply as a source."""
PART_OVERHEAD_BYTES: Final = 256
"""Bytes counted for each part in addition to its text, so that empty parts count too."""
MESSAGE_OVERHEAD_BYTES: Final = 512
"""Bytes counted for each message in addition to its parts."""
MAX_CONVERSATION_BYTES: Final = 256_000
"""Limit on the stored size of a conversation without its images. A turn or addition that would
exceed it is rejected. The reply to an open turn may exceed it."""
MAX_UNPACKED_BYTES: Final = 2_000_000
"""Another limit, on a conversation's size before compression, without its images but with the
overheads counted."""
MAX_CONVERSATION_MESSAGES: Final = 2_500
"""Limit on the messages of a conversation. Items or a user message that would exceed it are
rejected. The reply to an open turn may exceed it."""
MAX_IMAGE_BYTES: Final = 1_500_000
"""Limit on one image, decoded from base64."""
MAX_MESSAGE_IMAGES: Final = 8
MAX_CONVERSATION_IMAGE_BYTES: Final = 6_000_000
"""Limit on all images of a conversation together. A turn or addition that would exceed it is
rejected."""

MAX_LANGUAGE_TAG_CHARACTERS: Final = 35
"""RFC 5646 (section 4.4.1) requires implementations to accept tags of up to this length."""
MAX_LANGUAGE_SUBTAGS: Final = 8
MAX_LANGUAGE_TAGS: Final = 16
"""How many of a caller's preferred languages are considered."""
MAX_METADATA_PAIRS: Final = 16
"""How many names the metadata of a conversation has, as OpenAI defines it."""
MAX_METADATA_NAME_CHARACTERS: Final = 64
MAX_METADATA_VALUE_CHARACTERS: Final = 512
MAX_JSON_DEPTH: Final = 64
"""How deeply arrays and objects may be nested in what callers and models send."""


@frozen(kw_only=True)
class MessageLimit:
    """The operator's limit on what a person writes in one message.

    Attributes:
        characters: how many characters a message may have.
    """

    characters: int = field(
        default=DEFAULT_MESSAGE_CHARACTERS, validator=[ge(1), le(HIGHEST_MESSAGE_CHARACTERS)]
    )
