"""What the page shows of a tool that the service runs."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Final

import pytest
from playwright.async_api import Route, expect

from tests.support.browser import Visitor

pytestmark = pytest.mark.asyncio(loop_scope="session")
SEARCH: Final = {"toolCallId": "call_1", "providerExecuted": True, "dynamic": True}
BEGUN: Final[Sequence[dict[str, Any]]] = (
    {"type": "start", "messageId": "msg_1", "messageMetadata": {"turnId": "turn_1"}},
    {"type": "tool-input-start", "toolName": "search", **SEARCH},
    {"type": "tool-input-available", "toolName": "search", "input": {"query": "x"}, **SEARCH},
)
ENDED: Final[Sequence[dict[str, Any]]] = (
    {"type": "text-start", "id": "p1"},
    {"type": "text-delta", "id": "p1", "delta": "Found it."},
    {"type": "finish", "finishReason": "stop"},
)


def stream(chunks: Sequence[dict[str, Any]], last: str) -> str:
    """The events of a reply; each has a cursor."""
    events = [f"id: turn_1.{n}\ndata: {json.dumps(one)}\n\n" for n, one in enumerate(chunks)]
    return "".join(events) + last


@pytest.mark.parametrize(
    ("end", "shown"),
    [
        ({"type": "tool-output-available", "output": "x", **SEARCH}, "Used a tool: search"),
        (
            {"type": "tool-output-error", "errorText": "x", **SEARCH},
            "A tool gave no result: search",
        ),
    ],
)
async def test_a_tool_that_the_service_runs_is_one_line_while_the_stream_is_resumed(
    visitor: Visitor, end: dict[str, Any], shown: str
) -> None:
    chat = await visitor.open()
    resumed: asyncio.Queue[Route] = asyncio.Queue()

    async def begin(route: Route) -> None:
        await route.fulfill(body=stream(BEGUN, ""), content_type="text/event-stream")

    await chat.page.route("**/api/chat", begin)
    await chat.page.route("**/api/chat/*/stream", resumed.put)
    await chat.send("Look it up.")
    tools = chat.messages.last.locator(".tools")
    await expect(tools).to_have_text("Using a tool: search …")
    await expect(chat.page.get_by_role("log")).to_contain_text("Using a tool: search")
    await (await resumed.get()).fulfill(
        body=stream([end, *ENDED], "data: [DONE]\n\n"), content_type="text/event-stream"
    )

    await chat.expect_reply("Found it.")
    await expect(tools).to_have_text(shown)
