"""The promises of all tool servers: see ``ports.tool_servers``."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from ports.tool_servers import ServerTool, ToolServers
from tests.contract.adapters import TOOL_SERVERS
from tests.support.tool_servers import a_server_tool


@pytest.fixture(params=sorted(TOOL_SERVERS))
async def tool_servers(request: pytest.FixtureRequest) -> AsyncIterator[ToolServers]:
    async with TOOL_SERVERS[request.param]() as tool_servers:
        yield tool_servers


@pytest.fixture
async def tool(tool_servers: ToolServers) -> ServerTool:
    """Repeats its argument in its result."""
    tools = await tool_servers.tools()
    [search] = [tool for tool in tools if tool.tool.name == "search"]
    return search


async def test_every_tool_has_a_name_of_its_own_and_takes_an_object(
    tool_servers: ToolServers,
) -> None:
    tools = await tool_servers.tools()

    assert len({tool.tool.name for tool in tools}) == len(tools)
    assert {json.loads(tool.tool.parameters)["type"] for tool in tools} <= {"object"}
    assert {tool.server for tool in tools} <= {"library"}


async def test_the_same_tools_are_offered_twice(tool_servers: ToolServers) -> None:
    assert list(await tool_servers.tools()) == list(await tool_servers.tools())


async def test_the_output_is_json_text(tool_servers: ToolServers, tool: ServerTool) -> None:
    output = await tool_servers.call(tool, '{"query":"cats"}')

    assert "cats" in json.loads(output.output)
    assert not output.failed
    assert output.reason is None


async def test_calls_run_at_the_same_time_and_get_their_own_outputs(
    tool_servers: ToolServers, tool: ServerTool
) -> None:
    calls = [tool_servers.call(tool, json.dumps({"query": f"book {n}."})) for n in range(8)]
    outputs = await asyncio.gather(*calls)

    assert all(f"book {n}." in output.output for n, output in enumerate(outputs))


@pytest.mark.parametrize("server", ["library", "elsewhere"])
async def test_a_tool_that_does_not_exist_fails_without_raising(
    tool_servers: ToolServers, server: str
) -> None:
    output = await tool_servers.call(a_server_tool("missing", server), "{}")

    assert output.failed
    assert json.loads(output.output)


async def test_a_cancelled_call_raises_at_once_and_others_go_on(
    tool_servers: ToolServers, tool: ServerTool
) -> None:
    cancelled = asyncio.create_task(tool_servers.call(tool, '{"query":"dogs"}'))
    other = asyncio.create_task(tool_servers.call(tool, '{"query":"cats"}'))
    await asyncio.sleep(0)
    cancelled.cancel()

    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert "cats" in (await other).output


async def test_no_output_appears_in_a_repr(tool_servers: ToolServers, tool: ServerTool) -> None:
    assert "cats" not in repr(await tool_servers.call(tool, '{"query":"cats"}'))
