"""Why a request got no answer from the model's server, in one word for the log.

Besides the words of ``socket_failures``:

    not-http
    proxy-unreachable, proxy-refused
"""

from typing import Final

import aiohttp

from adapters.outgoing_http.socket_failures import socket_failure, tls_failure

_BY_CLASS: Final = (
    (aiohttp.ClientHttpProxyError, "proxy-refused"),
    (aiohttp.ClientProxyConnectionError, "proxy-unreachable"),
    (TimeoutError, "timeout"),
    (aiohttp.ClientResponseError, "not-http"),
)


def connection_failure(error: aiohttp.ClientError | TimeoutError, host: str) -> str:
    """The word for ``error`` of a request to ``host``."""
    for kind, word in _BY_CLASS:
        if isinstance(error, kind):
            return word
    if isinstance(error, aiohttp.ClientConnectorDNSError) and error.host != host:
        return "proxy-unreachable"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return tls_failure(error.certificate_error)
    if isinstance(error, aiohttp.ClientConnectorError):
        return socket_failure(error.os_error)
    return "closed"
