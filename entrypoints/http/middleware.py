"""Middleware for every request. It is pure ASGI, so that no stream is buffered."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from entrypoints.http.problems import Problem, problem_of
from ports.errors import ShuttingDown
from ports.telemetry import Telemetry

API_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"
_SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
_ONE_YEAR: Final = "max-age=31536000; includeSubDomains"


class SecurityHeaders:
    """Adds security headers for browsers, unless a response sets them itself."""

    def __init__(self, app: ASGIApp, *, is_https: bool) -> None:
        """``is_https`` adds HSTS, which makes browsers use only https for a year."""
        self._app = app
        self._headers = {**_SECURITY_HEADERS, "content-security-policy": API_POLICY}
        if is_https:
            self._headers["strict-transport-security"] = _ONE_YEAR

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class UnexpectedErrors:
    """Answers unexpected errors with 500, and logs only their class and source line.

    A request that the server cancels, at the end of its shutdown, is answered with 503.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        telemetry: Callable[[Scope], Telemetry],
        render: Callable[[Problem, str], Response],
    ) -> None:
        """Pass requests on to ``app``.

        Args:
            app: the next application.
            telemetry: returns the telemetry to use for a request.
            render: returns the response for a problem at a path.
        """
        self._app = app
        self._telemetry = telemetry
        self._render = render

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        started = False

        async def send_and_track(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, send_and_track)
        except asyncio.CancelledError:
            if scope["type"] != "http" or started:
                raise
            response = self._render(problem_of(ShuttingDown()), scope["path"])
            await response(scope, receive, send)
        except Exception as error:
            if scope["type"] != "http":
                raise
            self._telemetry(scope).emit(
                "request.failed", kind=type(error).__name__, at=_source_line(error)
            )
            if not started:
                response = self._render(problem_of(error), scope["path"])
                await response(scope, receive, send)


def _source_line(error: Exception) -> str:
    """File and line of the innermost frame; a whole traceback could contain message text."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    if frame is None:
        return "unknown"
    return f"{frame.tb_frame.f_code.co_filename.rpartition('/')[2]}:{frame.tb_lineno}"


class LocalePrefix:
    """Serves ``/{lang}/api/…`` as ``/api/…`` for the assistant's own locales.

    The locale is stored in ``scope["state"]["locale"]``.
    """

    def __init__(self, app: ASGIApp, *, locales: Callable[[Scope], Sequence[str]]) -> None:
        """``locales`` returns the assistant's locales for a request."""
        self._app = app
        self._locales = locales

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            first, _, rest = scope["path"][1:].partition("/")
            if rest.startswith("api/"):
                scope = self._without_prefix(scope, first, "/" + rest)
        await self._app(scope, receive, send)

    def _without_prefix(self, scope: Scope, prefix: str, path: str) -> Scope:
        locales = {locale.lower(): locale for locale in self._locales(scope)}
        locale = locales.get(prefix.lower())
        if locale is None:
            return scope
        state = {**scope.get("state", {}), "locale": locale}
        return {**scope, "path": path, "raw_path": path.encode(), "state": state}
