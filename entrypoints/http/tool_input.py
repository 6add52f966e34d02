"""The arguments of a tool call as JSON, as far as clients take them."""

from typing import Any

import msgspec

NOT_JSON = "The model's arguments are not JSON."


def tool_input(arguments: str) -> Any:
    """What a model's arguments say; nothing written is an empty object.

    Raises:
        ValueError: they are no JSON, or of a kind that the parser of the AI SDK refuses, which
            would end the whole reply.
    """
    parsed = msgspec.json.decode(arguments or "{}")
    # Written anew, so that no name hides behind escapes.
    written = msgspec.json.encode(parsed)
    if b'"__proto__":' in written or (b'"constructor":{' in written and b'"prototype":' in written):
        raise ValueError("these names could change the client's objects")
    return parsed
