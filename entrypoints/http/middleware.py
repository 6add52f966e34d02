"""What every request passes through. Pure ASGI: nothing stands between a stream and its end."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from entrypoints.http.problems import Problem, problem_of
from ports.telemetry import Telemetry

API_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"
_EVERYWHERE: Final[Mapping[str, str]] = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
_ONE_YEAR: Final = "max-age=31536000; includeSubDomains"


class SecurityHeaders:
    """Adds the headers that keep browsers careful, unless an answer brings its own."""

    def __init__(self, app: ASGIApp, *, is_https: bool) -> None:
        """With ``is_https`` browsers are told to never come by http again."""
        self._app = app
        self._headers = {**_EVERYWHERE, "content-security-policy": API_POLICY}
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
    """Answers 500 to what nobody expected, and tells operators its kind and place, no more."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        telemetry: Callable[[Scope], Telemetry],
        render: Callable[[Problem, str], Response],
    ) -> None:
        """Pass requests on to ``app``.

        Args:
            app: what serves them.
            telemetry: finds the telemetry of a request's app.
            render: makes the response to a problem at a path.
        """
        self._app = app
        self._telemetry = telemetry
        self._render = render

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        started = False

        async def watching_send(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watching_send)
        except Exception as error:
            if scope["type"] != "http":
                raise
            self._telemetry(scope).emit(
                "request.failed", kind=type(error).__name__, at=_place(error)
            )
            if not started:
                response = self._render(problem_of(error), scope["path"])
                await response(scope, receive, send)


def _place(error: Exception) -> str:
    """File and line of the innermost frame: a traceback's text could repeat what was said."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    if frame is None:
        return "unknown"
    return f"{frame.tb_frame.f_code.co_filename.rpartition('/')[2]}:{frame.tb_lineno}"


class LocalePrefix:
    """Serves ``/{lang}/api/…`` as ``/api/…`` for the assistant's own locales.

    The locale is left in ``scope["state"]["locale"]``.
    """

    def __init__(self, app: ASGIApp, *, locales: Callable[[Scope], Sequence[str]]) -> None:
        """``locales`` finds the assistant's locales for a request."""
        self._app = app
        self._locales = locales

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            first, slash, rest = scope["path"][1:].partition("/")
            if slash and rest.startswith("api/"):
                scope = self._unprefixed(scope, first, "/" + rest)
        await self._app(scope, receive, send)

    def _unprefixed(self, scope: Scope, first: str, path: str) -> Scope:
        known = {locale.lower(): locale for locale in self._locales(scope)}
        locale = known.get(first.lower())
        if locale is None:
            return scope
        state = {**scope.get("state", {}), "locale": locale}
        return {**scope, "path": path, "raw_path": path.encode(), "state": state}
