"""Runs the tools that the model has called in one step, if they are ours."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from typing import Final

from attrs import evolve, frozen

from domain.model.assistant import Assistant
from domain.model.message import ToolCallPart, ToolResultPart
from domain.service.tool_outputs import OutputLimit, call_arguments, within
from entrypoints.usecases.offered_tools import Offer
from ports.clock import Clock
from ports.telemetry import Telemetry
from ports.tool_servers import ServerTool, ToolOutput, ToolServers

_NO_TOOL: Final = "There is no tool with this name."
_NO_OBJECT: Final = "The tool was not run: its arguments are not a JSON object."
_TIMED_OUT: Final = "The tool did not answer in time; it is unknown whether the call had an effect."


@frozen(kw_only=True)
class RunTools:
    """Runs calls on their tool servers. A failure is a result, because the model has to see it."""

    tool_servers: ToolServers
    assistant: Assistant
    clock: Clock
    telemetry: Telemetry

    async def __call__(
        self, calls: Sequence[ToolCallPart], offer: Offer, limit: OutputLimit
    ) -> AsyncGenerator[ToolResultPart, None]:
        """The results of ``calls`` as they arrive, so that none is lost while another takes longer.

        All calls run at once. They are cancelled if the generator is closed.
        """
        running = [asyncio.create_task(self._result(call, offer, limit)) for call in calls]
        try:
            for done in asyncio.as_completed(running):
                yield await done
        finally:
            for task in running:
                task.cancel()
            await asyncio.wait(running)

    def refuse(self, calls: Sequence[ToolCallPart], offer: Offer, why: str) -> list[ToolResultPart]:
        """Results that tell the model why none of ``calls`` was run."""
        output = _failure(why, "refused")
        for call in calls:
            self._report(offer.ours.get(call.name), output, 0)
        return [_result(call, output) for call in calls]

    async def _result(self, call: ToolCallPart, offer: Offer, limit: OutputLimit) -> ToolResultPart:
        tool, started_at = offer.ours.get(call.name), self.clock.monotonic()
        output = await self._output(call, tool)
        output = evolve(output, output=within(output.output, limit))
        self._report(tool, output, (self.clock.monotonic() - started_at).total_seconds())
        return _result(call, output)

    async def _output(self, call: ToolCallPart, tool: ServerTool | None) -> ToolOutput:
        if tool is None:
            return _failure(_NO_TOOL, "unknown")
        arguments = call_arguments(call.arguments)
        if arguments is None:
            return _failure(_NO_OBJECT, "arguments")
        try:
            async with asyncio.timeout(self.assistant.tools.timeout.total_seconds()):
                return await self.tool_servers.call(tool, arguments)
        except TimeoutError:
            return _failure(_TIMED_OUT, "timeout")

    def _report(self, tool: ServerTool | None, output: ToolOutput, seconds: float) -> None:
        # A name that no server has comes from the model, so it may repeat what people wrote.
        self.telemetry.emit(
            "tool.called",
            server=tool.server if tool else None,
            tool=tool.tool.name if tool else None,
            seconds=round(seconds, 3),
            failed=output.failed,
            reason=output.reason,
        )


def _failure(why: str, reason: str) -> ToolOutput:
    return ToolOutput(output=json.dumps(why), failed=True, reason=reason)


def _result(call: ToolCallPart, output: ToolOutput) -> ToolResultPart:
    return ToolResultPart(call_id=call.call_id, output=output.output, failed=output.failed)
