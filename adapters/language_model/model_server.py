"""How the service connects to the model's server: time-outs, TLS, HTTP proxies and headers."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp import ClientResponse, ClientSession, ClientTimeout
from attrs import field, frozen

from adapters.outgoing_http.certificates import trusting
from adapters.outgoing_http.http_proxy import HttpProxy, proxy_for

_NO_OPTIONS: Final[Mapping[str, Any]] = MappingProxyType({})


@frozen(kw_only=True)
class Timeouts:
    """How long to wait for a model.

    Attributes:
        connect: for one attempt to connect.
        first_piece: from the request to the first piece, retries included.
        silence: between two pieces.
    """

    connect: timedelta
    first_piece: timedelta
    silence: timedelta


@frozen(kw_only=True)
class ModelServer:
    """An OpenAI-compatible server and a model on it.

    Attributes:
        base_url: usually ends with ``/v1``.
        ca_file: certificates to trust instead of the system's.
        options: members that the operator adds to every request.
    """

    base_url: str
    name: str
    timeouts: Timeouts
    api_key: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    options: Mapping[str, Any] = _NO_OPTIONS

    @property
    def address(self) -> str:
        """Host and port; without a port if the URL has none."""
        return urlsplit(self.base_url).netloc

    @property
    def host(self) -> str:
        """The host alone."""
        return urlsplit(self.base_url).hostname or ""

    @property
    def proxy(self) -> HttpProxy | None:
        """The proxy that the environment names for this server.

        Raises:
            ServerProblem: its URL is not one of an HTTP proxy.
        """
        return proxy_for(self.base_url)


@frozen
class ModelConnection:
    """Sends requests to a model's server."""

    _session: ClientSession
    _headers: Mapping[str, str] = field(repr=False)
    _proxy_headers: Mapping[str, str] = field(repr=False)

    async def request(
        self, method: str, url: str, *, accept: str, body: bytes = b""
    ) -> ClientResponse:
        """The response, whose body is not read yet.

        Raises:
            ClientError, TimeoutError: there is no response.
        """
        return await self._session.request(
            method,
            url,
            # They are not headers of the session, because aiohttp sends those to the proxy too.
            headers={**self._headers, "accept": accept},
            data=BytesIO(body) if body else None,
            # The key and the prompt are for this server only.
            allow_redirects=False,
            proxy_headers=self._proxy_headers,
        )

    async def fetch(self, url: str, *, at_most: int, body: bytes = b"") -> tuple[int, bytes]:
        """The status and the first bytes of a JSON document; with a ``body``, it is posted.

        The content may be longer than ``at_most`` by one piece.

        Raises:
            ClientError, TimeoutError: there is no response.
        """
        method, content = "POST" if body else "GET", bytearray()
        async with await self.request(method, url, accept="application/json", body=body) as reply:
            while len(content) < at_most and (more := await reply.content.readany()):
                content += more
        return reply.status, bytes(content)


@asynccontextmanager
async def open_connection(server: ModelServer) -> AsyncIterator[ModelConnection]:
    """A connection to ``server``. Nothing is sent yet.

    Raises:
        ServerProblem: the certificates or the proxy cannot be used.
    """
    headers = {"content-type": "application/json"}
    if server.api_key:
        headers["authorization"] = f"Bearer {server.api_key}"
    proxy = server.proxy
    for_proxy = proxy.headers if proxy else {}
    tls = trusting(server.ca_file, setting="MODEL_CA_FILE")
    if not server.base_url.startswith("https:"):
        # Without TLS there is no tunnel: the proxy reads the request itself.
        headers.update(for_proxy)
    async with ClientSession(
        timeout=ClientTimeout(total=None, sock_connect=server.timeouts.connect.total_seconds()),
        # The turn runner limits how many replies are written at once.
        connector=aiohttp.TCPConnector(limit=0, ssl=tls),
        cookie_jar=aiohttp.DummyCookieJar(),
        proxy=proxy.url if proxy else None,
    ) as session:
        yield ModelConnection(session, headers, for_proxy)
