"""Middleware for every request. It is pure ASGI, so that no stream is buffered."""

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from attrs import evolve
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from entrypoints.http.problems import Problem, problem_of, problem_of_code
from ports.errors import ShuttingDown
from ports.telemetry import Telemetry

MAX_URL_BYTES: Final = 4_096
"""Longer than the longest path of this service, which contains a percent-encoded chat id."""
MAX_QUERY_PARAMETERS: Final = 32

API_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"
_SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
# Without includeSubDomains: other services of the domain may not have TLS.
_ONE_YEAR: Final = "max-age=31536000"
_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{0,5})?")
_HOST_MAX_BYTES: Final = 262
_HEALTH: Final = "/health/"


class SecurityHeaders:
    """Adds security headers for browsers, unless a response sets them itself."""

    def __init__(self, app: ASGIApp, *, hsts: bool) -> None:
        """``hsts`` adds the header that makes browsers use only https for a year."""
        self._app = app
        headers = {**_SECURITY_HEADERS, "content-security-policy": API_POLICY}
        if hsts:
            headers["strict-transport-security"] = _ONE_YEAR
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in message["headers"]}
                missing = [header for header in self._headers if header[0] not in own]
                message["headers"] = [*message["headers"], *missing]
            await send(message)

        await self._app(scope, receive, send_with_headers)


class KnownHosts:
    """Rejects requests to a host name that is not this server's.

    Otherwise, another site could let its own name lead to this server's address. Its pages could
    then read this server's answers in the browsers of its visitors (DNS rebinding). This needs a
    name, so every IP address is accepted, and so are the names of the loopback interface. Health
    checks are answered under any name.
    """

    def __init__(
        self, app: ASGIApp, *, hosts: Iterable[str], render: Callable[[Problem, Scope], Response]
    ) -> None:
        """Pass requests on to ``app``.

        Args:
            app: the next application.
            hosts: this server's names, in lower case.
            render: returns the response for a problem of a request.
        """
        self._app = app
        self._hosts = frozenset(hosts)
        self._render = render
        self._is_cached_as_known = lru_cache(maxsize=256)(self._is_known)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        app = self._app
        if scope["type"] == "http" and not self._is_accepted(scope):
            app = self._render(problem_of_code("host_unknown"), scope)
        await app(scope, receive, send)

    def _is_accepted(self, scope: Scope) -> bool:
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        path: str = scope["path"]
        if len(hosts) != 1 or len(hosts[0]) > _HOST_MAX_BYTES:
            return path.startswith(_HEALTH)
        return self._is_cached_as_known(hosts[0]) or path.startswith(_HEALTH)

    def _is_known(self, header: bytes) -> bool:
        match = _HOST.fullmatch(header.decode("latin-1").lower())
        if match is None:
            return False
        name = match[1].removesuffix(".")
        is_loopback = name == "localhost" or name.endswith(".localhost")
        return is_loopback or name in self._hosts or _is_address(name)


def _is_address(host: str) -> bool:
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


class UnexpectedErrors:
    """Answers unexpected errors with 500, and logs only their class and source line.

    A request that the server cancels, at the end of its shutdown, is answered with 503.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        telemetry: Callable[[Scope], Telemetry],
        render: Callable[[Problem, Scope], Response],
    ) -> None:
        """Pass requests on to ``app``.

        Args:
            app: the next application.
            telemetry: returns the telemetry to use for a request.
            render: returns the response for a problem of a request.
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
            response = self._render(problem_of(ShuttingDown()), scope)
            await response(scope, receive, send)
        except Exception as error:
            if scope["type"] != "http":
                raise
            self._telemetry(scope).emit(
                "request.failed", kind=type(error).__name__, at=_source_line(error)
            )
            if not started:
                response = self._render(problem_of(error), scope)
                await response(scope, receive, send)


class BoundedUrl:
    """Refuses requests whose path and query are too long, or whose query has too many parameters.

    What the query contains is parsed only later.
    """

    def __init__(self, app: ASGIApp, *, render: Callable[[Problem, Scope], Response]) -> None:
        """``render`` returns the response for a problem of a request."""
        self._app = app
        self._render = render

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        problem = _problem_of_url(scope) if scope["type"] == "http" else None
        if problem is None:
            return await self._app(scope, receive, send)
        response = self._render(problem, scope)
        return await response(scope, receive, send)


def _problem_of_url(scope: Scope) -> Problem | None:
    query: bytes = scope["query_string"]
    # The server cuts off the rest of a URL, so this one may have been even longer.
    if len(scope["raw_path"]) + 1 + len(query) > MAX_URL_BYTES:
        return problem_of_code("url_too_long")
    if query.count(b"&") >= MAX_QUERY_PARAMETERS:
        why = f"The query has more than {MAX_QUERY_PARAMETERS} parameters."
        return evolve(problem_of_code("bad_request"), detail=why)
    return None


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
