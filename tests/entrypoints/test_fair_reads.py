"""Few reads of one address run at once, and nobody else waits for them."""

import asyncio
from collections.abc import Callable

from starlette.types import Message, Receive, Scope, Send

from entrypoints.http.fair_reads import READS_AT_ONCE, FairReads

MANY = 3 * READS_AT_ONCE


class SlowApp:
    """An app whose answers begin when the test says so."""

    def __init__(self) -> None:
        self.running: list[str] = []
        self.may_answer = asyncio.Event()

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        self.running.append(scope["address"])
        try:
            await self.may_answer.wait()
        finally:
            self.running.remove(scope["address"])
        await send({"type": "http.response.start"})
        await asyncio.Event().wait()


def start(
    app: FairReads,
    address: str,
    method: str = "GET",
    *,
    path: str = "/api/chat",
    send: Callable[[Message], None] = print,
) -> "asyncio.Task[None]":
    async def send_it(message: Message) -> None:
        send(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": method, "path": path, "address": address}
    return asyncio.create_task(app(scope, receive, send_it))


async def ticks() -> None:
    for _ in range(10 * MANY):
        await asyncio.sleep(0)


async def end(tasks: "list[asyncio.Task[None]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_reads_of_one_address_wait_and_those_of_others_do_not() -> None:
    app = SlowApp()
    fair = FairReads(app, address=lambda scope: str(scope["address"]))
    tasks = [start(fair, "a") for _ in range(MANY)] + [start(fair, "b")]
    await ticks()

    assert app.running == ["a"] * READS_AT_ONCE + ["b"]
    await end(tasks)


async def test_a_read_whose_answer_has_begun_makes_room_for_the_next() -> None:
    app, begun = SlowApp(), list[Message]()
    fair = FairReads(app, address=lambda scope: str(scope["address"]))
    tasks = [start(fair, "a", send=begun.append) for _ in range(MANY)]
    app.may_answer.set()
    await ticks()

    assert len(begun) == MANY
    await end(tasks)


async def test_reads_that_are_cancelled_leave_no_gap() -> None:
    app = SlowApp()
    fair = FairReads(app, address=lambda scope: str(scope["address"]))
    first = [start(fair, "a") for _ in range(MANY)]
    await ticks()
    await end(first)
    tasks = [start(fair, "a") for _ in range(MANY)]
    await ticks()

    assert len(app.running) == READS_AT_ONCE
    await end(tasks)


async def test_writes_do_not_wait_for_reads() -> None:
    app = SlowApp()
    fair = FairReads(app, address=lambda scope: str(scope["address"]))
    tasks = [start(fair, "a") for _ in range(MANY)] + [start(fair, "a", "POST")]
    await ticks()

    assert len(app.running) == READS_AT_ONCE + 1
    await end(tasks)


async def test_health_checks_do_not_wait_for_reads() -> None:
    app = SlowApp()
    fair = FairReads(app, address=lambda scope: str(scope["address"]))
    tasks = [start(fair, "a") for _ in range(MANY)] + [start(fair, "a", path="/health/live")]
    await ticks()

    assert len(app.running) == READS_AT_ONCE + 1
    await end(tasks)
