"""What the model gets of a result."""

import json
import math
from typing import Any

import msgspec
import pytest
from mcp_types import (
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from adapters.tool_servers.tool_result import text_output, tool_output
from domain.model.limits import MAX_TOOL_RESULT_BYTES


def a_result(*content: Any, **members: Any) -> CallToolResult:
    return CallToolResult(content=list(content), **members)


def text(value: str) -> TextContent:
    return TextContent(type="text", text=value)


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


def test_texts_are_joined_to_one_string() -> None:
    output = tool_output(a_result(text("one"), text("två"), structured_content={"n": 1}))

    assert output.output == '"one\\ntvå"'
    assert not output.failed


def test_structured_content_counts_if_there_is_no_text() -> None:
    assert tool_output(a_result(structured_content={"n": [1, None]})).output == '{"n":[1,null]}'
    assert tool_output(a_result()).output == '""'


def test_structured_content_that_is_nested_too_deeply_is_a_string() -> None:
    output = json.loads(tool_output(a_result(structured_content=nested(100))).output)

    assert json.loads(output) == nested(100)


@pytest.mark.parametrize("number", [math.nan, -math.inf])
def test_structured_content_with_numbers_that_json_does_not_have_is_a_string(
    number: float,
) -> None:
    output = tool_output(a_result(structured_content={"n": number})).output

    assert msgspec.json.decode(output) == json.dumps({"n": number}, separators=(",", ":"))


def test_an_error_of_the_tool_is_a_failed_output_with_its_text() -> None:
    output = tool_output(a_result(text("no such book"), is_error=True))

    assert (output.output, output.failed, output.reason) == ('"no such book"', True, None)


def test_what_is_no_text_is_named() -> None:
    link = ResourceLink(type="resource_link", name="plan", uri="https://tools.example.org/plan")
    image = ImageContent(type="image", data="AAAA", mime_type="image/png")
    blob = BlobResourceContents(uri="file:///a", blob="AAAA")
    note = TextResourceContents(uri="file:///b", text="A note")
    files = [EmbeddedResource(type="resource", resource=one) for one in (blob, note)]

    assert json.loads(tool_output(a_result(link, image, *files)).output) == (
        "[A link to plan: https://tools.example.org/plan]\n"
        "[An image was left out.]\n[A file was left out.]\nA note"
    )


@pytest.mark.parametrize("character", ["x", "ä", '"', "\x01", "🙂"])
def test_a_text_that_is_too_long_is_cut_and_says_so(character: str) -> None:
    output = text_output(character * MAX_TOOL_RESULT_BYTES)
    whole = json.loads(output)

    assert MAX_TOOL_RESULT_BYTES - 8 <= len(output.encode()) <= MAX_TOOL_RESULT_BYTES
    assert whole.strip(character).startswith("\n[The rest")


def test_a_text_of_exactly_the_limit_is_kept() -> None:
    output = text_output("x" * (MAX_TOOL_RESULT_BYTES - 2))

    assert len(output) == MAX_TOOL_RESULT_BYTES
    assert "left out" not in output


def test_structured_content_that_is_too_long_is_a_cut_string() -> None:
    output = tool_output(a_result(structured_content={"a": "x" * MAX_TOOL_RESULT_BYTES})).output

    assert len(output.encode()) <= MAX_TOOL_RESULT_BYTES
    assert json.loads(output).endswith("too long.]")
