"""A turn that a test opens, observes and ends, and a runner for it."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from adapters.system.turn_runner import TaskTurnRunner
from domain.model.conversation import Conversation
from ports.errors import StoreUnavailable
from ports.turn_runner import Signals
from tests.support.builders import a_conversation, turn_id, with_question
from tests.support.fakes import RecordingTelemetry

LONG = timedelta(seconds=10)
AT_ONCE = timedelta()


class Turn:
    """A turn that opens and ends when the test says so; ``state`` is how far it has come."""

    def __init__(self) -> None:
        self.may_open = asyncio.Event()
        self.may_end = asyncio.Event()
        self.signals: asyncio.Future[Signals] = asyncio.get_running_loop().create_future()
        self.state = "not started"

    async def opening(self) -> Conversation:
        await self.may_open.wait()
        return with_question(a_conversation())

    async def replying(self, _: Conversation, signals: Signals) -> None:
        self.state = "running"
        self.signals.set_result(signals)
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.state = "cancelled"
            raise
        self.state = "finished"


async def abandon_nothing(_: StoreUnavailable) -> None:
    """There is nothing to abandon."""


def a_runner(max_turns: int = 8, telemetry: RecordingTelemetry | None = None) -> TaskTurnRunner:
    return TaskTurnRunner(max_turns=max_turns, telemetry=telemetry or RecordingTelemetry())


async def a_running_turn(runner: TaskTurnRunner) -> tuple[Turn, Signals]:
    turn = Turn()
    turn.may_open.set()
    await runner.run(turn_id(), turn.opening, turn.replying, abandon_nothing)
    return turn, await turn.signals


async def run_event_loop(until: Callable[[], bool] = lambda: False) -> None:
    for _ in range(50):
        if not until():
            await asyncio.sleep(0)
