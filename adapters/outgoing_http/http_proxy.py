"""The HTTP proxy that the environment names for a server.

HTTPS_PROXY, HTTP_PROXY and NO_PROXY are read as other programs read them. aiohttp could do that
itself (``trust_env``), but would then also send the passwords in ``~/.netrc``, and would use a
proxy for a server on this machine.
"""

import base64
import os
from collections.abc import Mapping
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from attrs import field, frozen

from adapters.outgoing_http.loopback import is_loopback
from adapters.outgoing_http.server_problem import ServerProblem


@frozen(kw_only=True)
class HttpProxy:
    """An HTTP proxy between this service and a server.

    Attributes:
        variable: the environment variable that names it.
        url: its URL, without user and password.
        headers: what only the proxy gets.
    """

    variable: str
    url: str
    headers: Mapping[str, str] = field(factory=dict, repr=False)


def proxy_for(url: str) -> HttpProxy | None:
    """The proxy that the environment names for the server at ``url``.

    Raises:
        ServerProblem: its URL is not one of an HTTP proxy.
    """
    parts = urlsplit(url)
    proxies = getproxies_environment()
    if parts.scheme not in proxies or is_loopback(parts.hostname or ""):
        return None
    if proxy_bypass(parts.netloc):
        return None
    variable = f"{parts.scheme}_proxy"
    is_lower = bool(os.environ.get(variable))
    return _proxy_at(proxies[parts.scheme], variable if is_lower else variable.upper())


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
        raise ServerProblem(why)
    _, _, address = parts.netloc.rpartition("@")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    headers = {}
    if user or password:
        login = base64.b64encode(f"{user}:{password}".encode()).decode()
        headers["proxy-authorization"] = f"Basic {login}"
    return HttpProxy(variable=variable, url=f"{parts.scheme}://{address}", headers=headers)
