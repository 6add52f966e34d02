"""Sends large answers in slices, and limits how many bytes of them wait for their readers.

Without this, a client could open many large answers and read none of them, and each would stay in
memory as a whole.
"""

from collections import Counter
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from entrypoints.http.problems import Problem, problem_of_code

SLICE_BYTES: Final = 65_536
"""An answer is large if its body is larger than this."""
ADDRESS_MAX_BYTES: Final = 33_554_432
PROCESS_MAX_BYTES: Final = 134_217_728

_SITE_BITS: Final = 64


class LargeAnswers:
    """Sends a large body slice by slice, each when the client has taken the one before.

    An address whose unsent answers exceed ``ADDRESS_MAX_BYTES`` gets the problem
    ``answers_unread``. If those of all addresses exceed ``PROCESS_MAX_BYTES``, everyone who asks
    for another large answer gets ``too_many_answers``. One answer alone may have any size.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        address: Callable[[Scope], str],
        render: Callable[[Problem, str], Response],
    ) -> None:
        """Pass requests on to ``app``.

        Args:
            app: the next application.
            address: returns the caller's IP address.
            render: returns the response for a problem at a path.
        """
        self._app = app
        self._address = address
        self._render = render
        self._open: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        site, size, is_refused = "", 0, False

        async def send_in_slices(message: Message) -> None:
            nonlocal site, size, is_refused
            if message["type"] == "http.response.start":
                length = _content_length(message)
                if length > SLICE_BYTES:
                    site = _site(self._address(scope))
                    problem = self._refusal(site, length)
                    if problem is not None:
                        is_refused = True
                        response = self._render(problem, scope["path"])
                        await response(scope, receive, send)
                        return
                    size = length
                    self._open[site] += size
                await send(message)
            elif not is_refused:
                await _send_body(message, send)

        try:
            await self._app(scope, receive, send_in_slices)
        finally:
            if size:
                self._close(site, size)

    def _refusal(self, site: str, size: int) -> Problem | None:
        """The problem if an answer of this size is too much at the moment."""
        if site in self._open and self._open[site] + size > ADDRESS_MAX_BYTES:
            return problem_of_code("answers_unread")
        if self._open and self._open.total() + size > PROCESS_MAX_BYTES:
            return problem_of_code("too_many_answers")
        return None

    def _close(self, site: str, size: int) -> None:
        self._open[site] -= size
        if not self._open[site]:
            del self._open[site]


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


def _site(address: str) -> str:
    """The network of an IPv6 address, which belongs to one customer; another address as it is."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address) or parsed.ipv4_mapped:
        return address
    return str(ip_network((parsed, _SITE_BITS), strict=False))
