"""One connection whose request heads are bounded in bytes and time.

uvicorn keeps the head of a request in memory however long it grows, waits for its end for ever,
and past `limit_concurrency` refuses, in a burst, also the connections within the limit.
"""

from asyncio import TimerHandle, Transport
from typing import Any

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from entrypoints.http.problems import problem_of_code

HEAD_MAX_BYTES = 65_536
HEAD_SECONDS = 10


class BoundedConnection(HttpToolsProtocol):
    """Past `limit_concurrency` only newcomers are refused."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Taken from uvicorn: in a burst its own check refuses also those within the limit.
        self._max_connections, self.limit_concurrency = self.limit_concurrency, None
        self._in_head, self._head_bytes = False, 0
        self._deadline: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self._max_connections is not None and len(self.connections) > self._max_connections:
            self.app = _refusal()
        self._start_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        was_in_head = self._in_head
        super().data_received(data)
        if self._in_head:
            self._start_deadline()
            self._head_bytes = self._head_bytes + len(data) if was_in_head else 0
            if self._head_bytes > HEAD_MAX_BYTES:
                self.transport.abort()
        elif self.timeout_keep_alive_task is None and self._is_idle():
            self._start_deadline()  # Bytes between requests have ended uvicorn's own time-out.

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_deadline()
        super().on_headers_complete()

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]

    def _start_deadline(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self._too_late)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        if self._is_idle():
            self.transport.abort()


def _refusal() -> Response:
    answer = problem_of_code("too_many_connections").response()
    answer.headers["connection"] = "close"
    return answer
