"""What the model gets from a tool's result, as JSON text."""

import json
from collections.abc import Iterator
from typing import Any

from mcp_types import (
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from domain.model.limits import MAX_TOOL_RESULT_BYTES
from domain.service.tool_outputs import REST_LEFT_OUT
from domain.service.user_input import nests_too_deeply
from ports.tool_servers import ToolOutput


def tool_output(result: CallToolResult) -> ToolOutput:
    """The texts of the result; its structured content if it has no text."""
    text = "\n".join(_texts(result.content))
    structured = result.structured_content
    if not text and structured is not None:
        text = _json(structured)
        encoded = text.encode()
        if len(encoded) <= MAX_TOOL_RESULT_BYTES and _can_be_shown(structured, encoded):
            return ToolOutput(output=text, failed=result.is_error)
    return ToolOutput(output=text_output(text), failed=result.is_error)


def text_output(text: str) -> str:
    """The text as a JSON string. If it is too long, its end is replaced by a note."""
    whole = _json(text)
    if len(whole.encode()) <= MAX_TOOL_RESULT_BYTES:
        return whole
    kept = text.encode()[:MAX_TOOL_RESULT_BYTES].decode(errors="ignore")
    while (excess := len(_json(kept + REST_LEFT_OUT).encode()) - MAX_TOOL_RESULT_BYTES) > 0:
        # A character has at most six bytes in JSON.
        kept = kept[: -(excess // 6 + 1)]
    return _json(kept + REST_LEFT_OUT)


def _texts(content: list[ContentBlock]) -> Iterator[str]:
    for block in content:
        if isinstance(block, TextContent):
            yield block.text
        elif isinstance(block, ResourceLink):
            yield f"[A link to {block.title or block.name}: {block.uri}]"
        elif isinstance(block, EmbeddedResource):
            resource = block.resource
            if isinstance(resource, TextResourceContents):
                yield resource.text
            else:
                yield "[A file was left out.]"
        else:
            yield f"[{'An image' if block.type == 'image' else 'A sound'} was left out.]"


def _can_be_shown(value: Any, encoded: bytes) -> bool:
    """Whether clients can read it as JSON, which has no NaN, Infinity or endless nesting."""
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return not nests_too_deeply(encoded)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
