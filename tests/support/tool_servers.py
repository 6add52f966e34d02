"""Tool servers that a test scripts, and a model that calls their tools."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Sequence

from domain.model.message import FinishReason, Usage
from domain.model.piece import ModelFinished, ModelPiece, TextPiece, ToolCallPiece
from domain.model.prompt import Prompt, Tool
from ports.language_model import ModelUnavailable
from ports.tool_servers import ServerTool, ToolOutput
from tests.support.fake_model import USAGE


def a_server_tool(
    name: str = "search", server: str = "library", *, may_repeat: bool = False
) -> ServerTool:
    """A tool with one argument, ``query``."""
    schema = {"type": "object", "properties": {"query": {"type": "string"}}}
    tool = Tool(name=name, parameters=json.dumps(schema), description="Looks something up.")
    return ServerTool(tool=tool, server=server, may_repeat=may_repeat)


class ScriptedToolServers:
    """Tool servers that answer as the test says.

    Attributes:
        offered: the tools that they list; a test may change it.
        calls: the tool's name and the arguments of each call so far.
    """

    def __init__(
        self,
        *offered: ServerTool,
        answer: Callable[[str], str] = lambda arguments: json.dumps(f"found {arguments}"),
    ) -> None:
        self.offered = offered or (a_server_tool(),)
        self.calls: list[tuple[str, str]] = []
        self.running = 0
        self.most_running = 0
        self._answer = answer

    async def tools(self) -> Sequence[ServerTool]:
        return self.offered

    async def call(self, tool: ServerTool, arguments: str) -> ToolOutput:
        if tool not in self.offered:
            return ToolOutput(output='"There is no such tool."', failed=True, reason="unknown")
        self.calls.append((tool.tool.name, arguments))
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        try:
            return await self._output(tool, arguments)
        finally:
            self.running -= 1

    async def _output(self, tool: ServerTool, arguments: str) -> ToolOutput:
        del tool
        await asyncio.sleep(0)
        return ToolOutput(output=self._answer(arguments))


class ToolCall:
    """A call that waits for its answer."""

    def __init__(self, tool: ServerTool, arguments: str) -> None:
        self.tool, self.arguments = tool, arguments
        self.closed = asyncio.Event()
        """Set once the service has its answer, or no longer waits for it."""
        self._answer: asyncio.Future[ToolOutput] = asyncio.get_running_loop().create_future()

    def answer(self, output: str = '"found"', *, failed: bool = False) -> None:
        """Let the call return; ``output`` is JSON text."""
        self._answer.set_result(ToolOutput(output=output, failed=failed))

    async def output(self) -> ToolOutput:
        try:
            return await self._answer
        finally:
            self.closed.set()


class WaitingToolServers(ScriptedToolServers):
    """Tool servers whose calls the test takes with ``next_call`` and answers itself."""

    def __init__(self, *offered: ServerTool) -> None:
        super().__init__(*offered)
        self._waiting: asyncio.Queue[ToolCall] = asyncio.Queue()

    async def next_call(self) -> ToolCall:
        """The next call that the service makes."""
        async with asyncio.timeout(10):
            return await self._waiting.get()

    async def _output(self, tool: ServerTool, arguments: str) -> ToolOutput:
        call = ToolCall(tool, arguments)
        self._waiting.put_nowait(call)
        return await call.output()


class SteppingModel:
    """A model whose first requests get the scripted ``steps``, and every later one "Done.".

    A step is the pieces of one request; it ends with the reason "tool calls" if it has calls.

    Attributes:
        prompts: all prompts so far.
    """

    name = "stepping"

    def __init__(
        self,
        *steps: Sequence[ModelPiece],
        usage: Usage | None = USAGE,
        failing_step: int | None = None,
    ) -> None:
        """The model is unavailable when it is asked for the ``failing_step``, counted from 1."""
        self.prompts: list[Prompt] = []
        self._steps = steps
        self._usage = usage
        self._failing_step = failing_step

    async def reply(self, prompt: Prompt) -> AsyncGenerator[ModelPiece | ModelFinished, None]:
        number = len(self.prompts)
        self.prompts.append(prompt)
        if len(self.prompts) == self._failing_step:
            raise ModelUnavailable
        step = self._steps[number] if number < len(self._steps) else [TextPiece("Done.")]
        for piece in step:
            yield piece
        calls = any(isinstance(piece, ToolCallPiece) for piece in step)
        reason = FinishReason.TOOL_CALLS if calls else FinishReason.STOP
        yield ModelFinished(reason=reason, usage=self._usage)


def a_call(
    call_id: str = "call_1", name: str = "search", arguments: str = '{"query":"cats"}'
) -> ToolCallPiece:
    """A whole call, as a model writes it."""
    return ToolCallPiece(call_id=call_id, name=name, arguments=arguments)
