"""How the service connects to the model's server: time-outs, TLS, HTTP proxies and headers.

HTTPS_PROXY, HTTP_PROXY and NO_PROXY are read as other programs read them. aiohttp could do that
itself (``trust_env``), but would then also send the passwords in ``~/.netrc``, and would use a
proxy for a server on this machine.
"""

import base64
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from io import BytesIO
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass

import aiohttp
from aiohttp import ClientResponse, ClientSession, ClientTimeout
from attrs import field, frozen

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


class ModelServerProblem(Exception):
    """The certificates or the proxy cannot be used; the message is a sentence without secrets."""


@frozen(kw_only=True)
class HttpProxy:
    """An HTTP proxy between this service and the model's server.

    Attributes:
        variable: the environment variable that names it.
        url: its URL, without user and password.
        headers: what only the proxy gets.
    """

    variable: str
    url: str
    headers: Mapping[str, str] = field(factory=dict, repr=False)


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
    def is_on_this_machine(self) -> bool:
        """Whether its host is ``localhost`` or a loopback address."""
        try:
            return self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def proxy(self) -> HttpProxy | None:
        """The proxy that the environment names for this server.

        Raises:
            ModelServerProblem: its URL is not one of an HTTP proxy.
        """
        scheme = urlsplit(self.base_url).scheme
        proxies = getproxies_environment()
        if scheme not in proxies or self.is_on_this_machine:
            return None
        if proxy_bypass(self.address):
            return None
        variable = f"{scheme}_proxy"
        is_lower = bool(os.environ.get(variable))
        return _proxy_at(proxies[scheme], variable if is_lower else variable.upper())


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
        ModelServerProblem: the certificates or the proxy cannot be used.
    """
    headers = {"content-type": "application/json"}
    if server.api_key:
        headers["authorization"] = f"Bearer {server.api_key}"
    proxy = server.proxy
    for_proxy = proxy.headers if proxy else {}
    if not server.base_url.startswith("https:"):
        # Without TLS there is no tunnel: the proxy reads the request itself.
        headers.update(for_proxy)
    async with ClientSession(
        timeout=ClientTimeout(total=None, sock_connect=server.timeouts.connect.total_seconds()),
        # The turn runner limits how many replies are written at once.
        connector=aiohttp.TCPConnector(limit=0, ssl=trusting(server.ca_file)),
        cookie_jar=aiohttp.DummyCookieJar(),
        proxy=proxy.url if proxy else None,
    ) as session:
        yield ModelConnection(session, headers, for_proxy)


def trusting(ca_file: Path | None) -> ssl.SSLContext:
    """A TLS context that trusts the certificates in ``ca_file``; None: those of the system.

    Raises:
        ModelServerProblem: the file cannot be read, or contains no certificate.
    """
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except ssl.SSLError:
        why = "MODEL_CA_FILE: the file contains no certificate in PEM format."
        raise ModelServerProblem(why) from None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "unknown error"
        why = f"MODEL_CA_FILE: the file cannot be read ({reason})."
        raise ModelServerProblem(why) from None


def _parts_of(url: str) -> SplitResult | None:
    """The parts of a proxy's URL; None if it is not one."""
    try:
        parts = urlsplit(url)
        is_valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        # It cannot be looked up if a part of it is empty or too long.
        (parts.hostname or "").encode("idna")
    except ValueError:
        return None
    return parts if is_valid else None


def _proxy_at(text: str, variable: str) -> HttpProxy:
    parts = _parts_of(text if "://" in text else f"http://{text}")
    if parts is None:
        why = f"{variable}: expected the URL of an HTTP proxy, such as http://proxy.example:3128."
        raise ModelServerProblem(why)
    _, _, address = parts.netloc.rpartition("@")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    headers = {}
    if user or password:
        login = base64.b64encode(f"{user}:{password}".encode()).decode()
        headers["proxy-authorization"] = f"Basic {login}"
    return HttpProxy(variable=variable, url=f"{parts.scheme}://{address}", headers=headers)
