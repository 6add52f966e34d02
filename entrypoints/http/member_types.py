"""Types of members and parameters with the formats and bounds that the OpenAPI document states.

Except for the metadata, the bounds here only describe: the domain checks them, and reports each
with a code of its own.
"""

from datetime import datetime
from typing import Annotated, Final

from msgspec import Meta

from domain.model.limits import (
    HIGHEST_MESSAGE_CHARACTERS,
    MAX_METADATA_NAME_CHARACTERS,
    MAX_METADATA_PAIRS,
    MAX_METADATA_VALUE_CHARACTERS,
)

_WHITE_SPACE: Final = (
    r"\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"  # as str.strip
)
NOT_BLANK: Final = rf"^[^\x00]*[^\x00{_WHITE_SPACE}][^\x00]*$"
"""A pattern for text that is not only white space, and has no NUL character."""
_SESSION: Final = "0a9efcbb-7f63-4a82-9119-db150eaa45b6"
_UUID: Final = {
    "format": "uuid",
    "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
}

_NO_NUL: Final = "^[^\\u0000]*$"

MetadataName = Annotated[str, Meta(max_length=MAX_METADATA_NAME_CHARACTERS, pattern=_NO_NUL)]
MetadataValue = Annotated[str, Meta(max_length=MAX_METADATA_VALUE_CHARACTERS, pattern=_NO_NUL)]
Metadata = Annotated[dict[MetadataName, MetadataValue], Meta(max_length=MAX_METADATA_PAIRS)]
Timestamp = Annotated[datetime, Meta(tz=True)]
MessageText = Annotated[
    str,
    Meta(
        description="The text of a person; blank only beside images. "
        "By default, at most 8,000 characters.",
        extra_json_schema={"maxLength": HIGHEST_MESSAGE_CHARACTERS, "pattern": r"^[^\x00]*$"},
    ),
]
UserText = Annotated[
    str,
    Meta(
        description="The text of a person, not blank. By default, at most 8,000 characters.",
        extra_json_schema={
            "minLength": 1,
            "maxLength": HIGHEST_MESSAGE_CHARACTERS,
            "pattern": NOT_BLANK,
        },
    ),
]
SessionIdText = Annotated[
    str, Meta(description="A session id.", examples=[_SESSION], extra_json_schema=_UUID)
]
TurnIdText = Annotated[
    str, Meta(description="The id of a turn.", extra_json_schema={"pattern": "^[0-9a-f]{32}$"})
]
MessageIdText = Annotated[
    str,
    Meta(
        description="The id of a message.", extra_json_schema={"pattern": "^[A-Za-z0-9_-]{1,64}$"}
    ),
]
ChatIdText = Annotated[
    str,
    Meta(
        description="A session id, or the client's own id for the conversation.",
        examples=[_SESSION],
        extra_json_schema={"minLength": 1, "maxLength": 256, "pattern": "^[^/]+$"},
    ),
]
ChatIdInPath = Annotated[
    str,
    Meta(
        description="A session id, or the client's own id for the conversation.",
        examples=[_SESSION],
        extra_json_schema={"minLength": 1, "pattern": "^[^/]+$"},
    ),
]
