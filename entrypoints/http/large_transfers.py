"""Limits how many bytes are held for clients that send or read slowly.

A large body is held until its last byte has arrived, and a large answer until its client has read
it. Without limits, one client could open many of them and finish none.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from entrypoints.http.addresses import network_of
from entrypoints.http.problems import Problem, TooManyAtOnce, problem_of

LARGE_BYTES: Final = 16_384
"""A body or an answer is large if it is larger than this."""
SLICE_BYTES: Final = 65_536
_READS: Final = ("GET", "HEAD")
ADDRESS_MAX_BYTES: Final = 33_554_432
PROCESS_MAX_BYTES: Final = 100_663_296
RESERVED_BYTES: Final = 33_554_432
"""Added to ``PROCESS_MAX_BYTES`` for addresses with nothing else unfinished.

So a few others cannot lock them out.
"""


class LargeTransfers:
    """Sends large answers slice by slice, each when the client has taken most of the one before.

    A large body or answer gets the problem ``transfers_unfinished`` if more than
    ``ADDRESS_MAX_BYTES`` would be held for its address, or ``too_many_transfers`` if more than
    ``PROCESS_MAX_BYTES`` would be held in all. If its address has nothing else unfinished, only the
    second limit applies, and is ``RESERVED_BYTES`` higher. If nothing else is unfinished at all,
    neither limit applies. The answer to a request that may have changed something is never refused,
    because its client would send the request again.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        address: Callable[[Scope], str],
        render: Callable[[Problem, Scope], Response],
    ) -> None:
        """Pass requests on to ``app``.

        Args:
            app: the next application.
            address: returns the caller's IP address.
            render: returns the response for a problem of a request.
        """
        self._app = app
        self._address = address
        self._render = render
        self._held: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        transfer = _Transfer(self._held, lambda: network_of(self._address(scope)))
        is_refused = False

        async def receive_counted() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                transfer.receive(message)
            return message

        async def send_in_slices(message: Message) -> None:
            nonlocal is_refused
            if message["type"] == "http.response.start":
                try:
                    transfer.hold(_content_length(message), may_refuse=scope["method"] in _READS)
                except TooManyAtOnce as error:
                    is_refused = True
                    response = self._render(problem_of(error), scope)
                    await response(scope, receive, send)
                    return
                await send(message)
            elif not is_refused:
                await _send_body(message, send)

        try:
            await self._app(scope, receive_counted, send_in_slices)
        finally:
            transfer.release()


class _Transfer:
    """The body or the answer of one request."""

    def __init__(self, held: Counter[str], network: Callable[[], str]) -> None:
        self._all = held
        self._network_of_caller = network
        self._network = ""
        self._received = 0
        self._size = 0

    def receive(self, message: Message) -> None:
        """Count some of the body; a complete body is not held any more."""
        self._received += len(message.get("body", b""))
        if message.get("more_body", False):
            self.hold(self._received)
        else:
            self.release()

    def hold(self, size: int, *, may_refuse: bool = True) -> None:
        """Count ``size`` bytes in place of those counted before, unless ``size`` is small.

        Raises:
            TooManyAtOnce: others of this address, or of all addresses, leave no room. Not raised
                unless ``may_refuse``.
        """
        if size <= LARGE_BYTES:
            return
        self.release()
        self._network = self._network or self._network_of_caller()
        if may_refuse:
            self._require_room(size)
        self._size = size
        self._all[self._network] += size

    def _require_room(self, size: int) -> None:
        if self._network in self._all and self._all[self._network] + size > ADDRESS_MAX_BYTES:
            raise TooManyAtOnce("transfers_unfinished")
        reserved = 0 if self._network in self._all else RESERVED_BYTES
        if self._all and self._all.total() + size > PROCESS_MAX_BYTES + reserved:
            raise TooManyAtOnce("too_many_transfers")

    def release(self) -> None:
        """Count nothing any more."""
        if not self._size:
            return
        self._all[self._network] -= self._size
        if not self._all[self._network]:
            del self._all[self._network]
        self._size = 0


async def _send_body(message: Message, send: Send) -> None:
    body: bytes = message.get("body", b"")
    last = (max(len(body), 1) - 1) // SLICE_BYTES * SLICE_BYTES
    # The server accepts a slice when the client has taken most of the one before.
    for start in range(0, last, SLICE_BYTES):
        part = body[start : start + SLICE_BYTES]
        await send({**message, "body": part, "more_body": True})
    await send({**message, "body": body[last:]} if last else message)


def _content_length(message: Message) -> int:
    for name, value in message["headers"]:
        if name == b"content-length":
            return int(value)
    return 0
