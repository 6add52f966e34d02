"""The turn runner: one asyncio task per turn, independent of the requests, and some beside them."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Final

from domain.model.conversation import Conversation
from domain.model.identifiers import TurnId
from ports.errors import ShuttingDown, StoreUnavailable, TooManyTurns
from ports.telemetry import Telemetry
from ports.turn_runner import AbandonFn, OpenTurnFn, ReplyFn

INTERRUPT_GRACE: Final = timedelta(seconds=5)
"""The time that an interrupted turn is given to store the reply so far."""

MAX_BACKGROUND: Final = 8
"""How much work runs beside the turns at once: the model should mostly write replies."""


class _Signals:
    """Wakes one running turn."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()
        self.shutting_down = False

    async def wait(self, at_most: timedelta) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(at_most.total_seconds()):
                await self._woken.wait()
        self._woken.clear()

    def wake(self) -> None:
        self._woken.set()

    def shut_down(self) -> None:
        self.shutting_down = True
        self.wake()


class TaskTurnRunner:
    """Runs turns as tasks of this process's event loop.

    Attributes:
        background: the tasks of the work beside the turns that has not ended.
    """

    def __init__(self, *, max_turns: int, telemetry: Telemetry) -> None:
        """``max_turns`` bounds how many turns run at once."""
        self.background: set[asyncio.Task[None]] = set()
        self._max_turns = max_turns
        self._telemetry = telemetry
        self._running: dict[TurnId, tuple[asyncio.Task[None], _Signals]] = {}
        self._background_slots = asyncio.Semaphore(MAX_BACKGROUND)
        self._draining = False

    async def run(
        self, turn_id: TurnId, open_turn: OpenTurnFn, reply: ReplyFn, abandon: AbandonFn
    ) -> Conversation:
        """See ``ports.turn_runner.TurnRunner.run``."""
        if self._draining:
            raise ShuttingDown
        if len(self._running) >= self._max_turns:
            raise TooManyTurns
        opened: asyncio.Future[Conversation] = asyncio.get_running_loop().create_future()
        # Retrieve the exception here, or asyncio logs it if the caller has disconnected.
        opened.add_done_callback(lambda done: done.cancelled() or done.exception())
        signals = _Signals()
        task = asyncio.create_task(
            self._run_turn(
                turn_id,
                open_turn,
                lambda conversation: reply(conversation, signals),
                abandon,
                opened,
            )
        )
        self._running[turn_id] = (task, signals)
        task.add_done_callback(lambda _: self._running.pop(turn_id, None))
        return await asyncio.shield(opened)

    def is_running(self, turn_id: TurnId) -> bool:
        """See ``ports.turn_runner.TurnRunner.is_running``."""
        return turn_id in self._running

    def wake(self, turn_id: TurnId) -> None:
        """See ``ports.turn_runner.TurnRunner.wake``."""
        if turn_id in self._running:
            self._running[turn_id][1].wake()

    def run_in_background(self, work: Callable[[], Awaitable[object]]) -> None:
        """See ``ports.turn_runner.TurnRunner.run_in_background``."""
        if self._draining:
            return
        task = asyncio.create_task(self._run_in_background(work))
        self.background.add(task)
        task.add_done_callback(self.background.discard)

    def accepts_new_turns(self) -> bool:
        """Whether new turns are accepted."""
        return not self._draining

    def refuse_new_turns(self) -> None:
        """Accept no new turns from now on, and drop the work in the background."""
        self._draining = True
        for task in self.background:
            task.cancel()

    async def drain(self, grace: timedelta, interrupt_grace: timedelta = INTERRUPT_GRACE) -> None:
        """Accept no new turns; give the running ones ``grace`` to finish, then interrupt the rest.

        An interrupted turn has ``interrupt_grace`` to store its pieces. A turn that is still
        running after that is left open; the next writer settles it.
        """
        self.refuse_new_turns()
        self._telemetry.emit(
            "service.draining", turns=len(self._running), seconds=grace.total_seconds()
        )
        await self._wait(grace)
        for _, signals in self._running.values():
            signals.shut_down()
        await self._wait(interrupt_grace)
        if self._running:
            self._telemetry.emit("turns.left-open", turns=len(self._running))
        for task, _ in self._running.values():
            task.cancel()

    async def _wait(self, at_most: timedelta) -> None:
        # Cancelled work in the background may still have to count the tokens that it used.
        tasks = [*(task for task, _ in self._running.values()), *self.background]
        if tasks:
            await asyncio.wait(tasks, timeout=at_most.total_seconds())

    async def _run_turn(
        self,
        turn_id: TurnId,
        open_turn: OpenTurnFn,
        reply: Callable[[Conversation], Awaitable[None]],
        abandon: AbandonFn,
        opened: "asyncio.Future[Conversation]",
    ) -> None:
        try:
            conversation = await open_turn()
        except StoreUnavailable as error:
            opened.set_exception(error)
            await self._run_detached(abandon(error))
        except Exception as error:  # noqa: BLE001 - it is raised in the caller
            opened.set_exception(error)
        except BaseException:
            # Draining cancelled this task; whether the turn was stored is unknown.
            opened.set_exception(ShuttingDown())
            raise
        else:
            opened.set_result(conversation)
            turn = conversation.open_turn
            if turn is not None and turn.id == turn_id:
                await self._run_detached(reply(conversation))

    async def _run_detached(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - no caller awaits this task
            self._telemetry.emit("turn.crashed", kind=type(error).__name__)

    async def _run_in_background(self, work: Callable[[], Awaitable[object]]) -> None:
        async with self._background_slots:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - no caller awaits this task
                self._telemetry.emit("background.crashed", kind=type(error).__name__)
