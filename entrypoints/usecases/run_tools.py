"""Runs the calls of one step whose tools are ours."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final

from attrs import evolve, frozen

from domain.model.message import ToolCallPart, ToolResultPart
from domain.model.piece import ToolResultPiece
from domain.service.tool_outputs import OutputLimit, call_arguments, within
from entrypoints.usecases.offered_tools import Offer
from entrypoints.usecases.reply_writer import ReplyWriter
from ports.clock import Clock
from ports.telemetry import Telemetry
from ports.tool_servers import ServerTool, ToolOutput, ToolServers

CUT_OFF: Final = "The tool was not run, because the reply was cut off."
NO_MORE_CALLS: Final = "The tool was not run, because this reply may have no more calls."
"""Why tools were not run, as the model is told."""

_NO_TOOL: Final = "There is no such tool."
_NO_OBJECT: Final = "The tool was not run, because its arguments are not a JSON object."


@frozen(kw_only=True)
class RunTools:
    """Runs calls on their tool servers. A failure is a result, because the model has to see it."""

    tool_servers: ToolServers
    clock: Clock
    telemetry: Telemetry

    async def __call__(
        self,
        calls: Sequence[ToolCallPart],
        offer: Offer,
        limit: OutputLimit,
        writer: ReplyWriter,
        *,
        at_most: int,
        refusal: str,
    ) -> bool:
        """Write a result for each of the calls; False if no tool was run, or if the writer is done.

        The first ``at_most`` calls run, all at once. The others fail with ``refusal``. Each result
        is written when it arrives, so that none is lost while another takes longer.
        """
        output = _failure(refusal, "not-run")
        # A user can make the model write hundreds of calls, so not each of them is reported.
        for tool in dict.fromkeys(offer.ours.get(call.name) for call in calls[at_most:]):
            self._report(tool, output, 0)
        for call in calls[at_most:]:
            if not await writer.put(ToolResultPiece(_result(call, output))):
                return False
        async with aclosing(self._results(calls[:at_most], offer, limit)) as results:
            async for result in results:
                if not await writer.put(ToolResultPiece(result)):
                    return False
        return bool(calls[:at_most])

    async def _results(
        self, calls: Sequence[ToolCallPart], offer: Offer, limit: OutputLimit
    ) -> AsyncGenerator[ToolResultPart, None]:
        """The results as they arrive; the calls are cancelled if the generator is closed."""
        running = [asyncio.create_task(self._result(call, offer, limit)) for call in calls]
        try:
            for done in asyncio.as_completed(running):
                yield await done
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

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
        return await self.tool_servers.call(tool, arguments)

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
