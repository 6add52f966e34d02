"""Limits how many reads of one address run at once, so that a flood delays no one else.

Everything in this process shares one event loop, and the limits on what callers may use do not
count reads. Thousands of reads that waited for Redis together would also continue together, and
somebody else's request would have to wait until all of them are answered.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

READS_AT_ONCE: Final = 4
"""How many reads of one address are carried out at once; further reads wait in order."""

_READS: Final = ("GET", "HEAD")
_HEALTH: Final = "/health/"


class FairReads:
    """Delays the reads of an address beyond ``READS_AT_ONCE`` until others have an answer.

    A read counts until its answer begins. Nothing is refused, and other addresses are not delayed.
    Health checks never wait: they must be answered even while every read waits for Redis.
    """

    def __init__(self, app: ASGIApp, *, address: Callable[[Scope], str]) -> None:
        """``address`` returns the caller's address, as limits count it."""
        self._app = app
        self._address = address
        self._running: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if not _is_counted(scope):
            return await self._app(scope, receive, send)
        address = self._address(scope)
        await self._wait(address)
        is_running = True

        async def send_and_finish(message: Message) -> None:
            nonlocal is_running
            if is_running:
                is_running = False
                self._finish(address)
            await send(message)

        try:
            await self._app(scope, receive, send_and_finish)
        finally:
            if is_running:
                self._finish(address)

    async def _wait(self, address: str) -> None:
        if self._running[address] < READS_AT_ONCE:
            self._running[address] += 1
            return
        start = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(address, deque()).append(start)
        try:
            await start
        except asyncio.CancelledError:
            if start.done() and not start.cancelled():
                self._finish(address)
            raise

    def _finish(self, address: str) -> None:
        """Let the next read of this address start in place of one that is finished."""
        waiting = self._waiting.get(address)
        while waiting:
            start = waiting.popleft()
            if not start.done():  # It is done if its request was cancelled.
                start.set_result(None)
                return
        self._waiting.pop(address, None)
        self._running[address] -= 1
        if not self._running[address]:
            del self._running[address]


def _is_counted(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] not in _READS:
        return False
    path: str = scope["path"]
    return not path.startswith(_HEALTH)
