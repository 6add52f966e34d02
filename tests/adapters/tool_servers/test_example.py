"""The tool server in examples/mcp_tools runs with its assistant's file."""

import json
import runpy
from collections.abc import AsyncIterator

import pytest
from attrs import evolve

from adapters.assistant_profile.toml_file import load_assistant
from tests.architecture.sources import ROOT
from tests.support.mcp_server import OpenServers, opened, serving

EXAMPLE = ROOT / "examples" / "mcp_tools"


@pytest.fixture
async def example() -> AsyncIterator[OpenServers]:
    program = runpy.run_path(str(EXAMPLE / "server.py"))["server"]
    [server] = load_assistant(EXAMPLE / "assistant.toml").tools.servers
    async with serving(program.streamable_http_app()) as url, opened(evolve(server, url=url)) as it:
        yield it


async def test_both_tools_are_offered_and_only_the_harmless_one_may_be_repeated(
    example: OpenServers,
) -> None:
    tools = await example.adapter.tools()

    assert {tool.tool.name: tool.may_repeat for tool in tools} == {
        "opening_hours": True,
        "book_appointment": False,
    }


@pytest.mark.parametrize(("day", "hours"), [("2026-11-26", "9 to 19"), ("2026-11-29", "closed")])
async def test_it_knows_the_opening_hours(example: OpenServers, day: str, hours: str) -> None:
    tool = await example.tool("opening_hours")
    output = await example.adapter.call(tool, json.dumps({"day": day}))

    assert (json.loads(output.output), output.failed) == (hours, False)


async def test_it_books_an_appointment_unless_the_library_is_closed(example: OpenServers) -> None:
    tool = await example.tool("book_appointment")
    open_day = await example.adapter.call(tool, '{"day": "2026-11-26", "name": "Ada"}')
    sunday = await example.adapter.call(tool, '{"day": "2026-11-29", "name": "Ada"}')

    assert json.loads(open_day.output) == "Appointment A1 on 2026-11-26 is booked."
    assert sunday.failed
