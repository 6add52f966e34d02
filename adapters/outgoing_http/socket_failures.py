"""Why a connection failed, in one word for the log.

    host-not-found  refused  unreachable  timeout  closed
    no-tls, tls-failed
    certificate-not-trusted  -for-another-host  -expired  -not-yet-valid  -invalid

Only error numbers are taken from the text of an exception, because it can contain parts of the
request.
"""

import errno
import re
import socket
import ssl
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_BY_ERRNO: Final[Mapping[int | None, str]] = MappingProxyType(
    {
        errno.ECONNREFUSED: "refused",
        errno.EHOSTUNREACH: "unreachable",
        errno.ENETUNREACH: "unreachable",
        errno.EADDRNOTAVAIL: "unreachable",
        errno.ETIMEDOUT: "timeout",
    }
)
_BY_VERIFY_CODE: Final[Mapping[int, str]] = MappingProxyType(
    {
        9: "certificate-not-yet-valid",
        10: "certificate-expired",
        **dict.fromkeys((2, 18, 19, 20, 21), "certificate-not-trusted"),
        **dict.fromkeys((62, 63, 64), "certificate-for-another-host"),
    }
)
"""By the codes of OpenSSL (``X509_V_ERR_…``)."""

_PLAINTEXT: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")
"""The reasons that OpenSSL has for an answer that is not TLS."""

_ERRNO_IN_TEXT: Final = re.compile(r"\[Errno (\d+)\]")


def socket_failure(error: OSError) -> str:
    """The word for ``error``, which a connection attempt raised."""
    if isinstance(error, ssl.SSLError):
        return tls_failure(error)
    if isinstance(error, socket.gaierror):
        return "host-not-found"
    if isinstance(error, TimeoutError) and error.errno is None:
        return "timeout"
    # If the addresses of a host fail differently, the error has the numbers in its text only.
    numbers = _ERRNO_IN_TEXT.findall(str(error))
    number = error.errno or (int(numbers[-1]) if numbers else None)
    return _BY_ERRNO.get(number, "closed")


def tls_failure(error: Exception) -> str:
    """The word for ``error``, which a TLS handshake raised."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _BY_VERIFY_CODE.get(error.verify_code, "certificate-invalid")
    reason = getattr(error, "reason", None) or ""
    return "no-tls" if any(name in reason for name in _PLAINTEXT) else "tls-failed"
