"""What ``privity doctor`` finds in valid settings, and whether the public URL leads to Privity."""

import os
import ssl
from collections.abc import Iterator
from http import HTTPStatus
from typing import Final

import aiohttp
import msgspec

from entrypoints.cli.process_limits import possible_connections, raise_open_files
from entrypoints.container import redis_address
from entrypoints.settings import Settings, Storage
from ports.findings import Finding, Level

_PUBLIC_URL: Final = "public URL"
_TIMEOUT: Final = aiohttp.ClientTimeout(total=5)
_MAX_ANSWER: Final = 1_000
_GATEWAY_FAILURES: Final = (
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
)
_EXPIRED, _WRONG_HOST, _WRONG_ADDRESS = 10, 62, 64
"""Codes of OpenSSL for certificates that no client accepts."""


def settings_findings(settings: Settings) -> Iterator[Finding]:
    """What valid settings mean, and which of them are unsafe."""
    yield from _storage(settings)
    yield _assistant(settings)
    yield _v1(settings)
    yield _limits(settings)
    yield _proxies(settings)
    yield _open_files(settings)


def _storage(settings: Settings) -> Iterator[Finding]:
    if settings.storage is Storage.MEMORY:
        yield Finding(Level.GOOD, "storage", "memory; a restart forgets everything")
        return
    yield Finding(Level.GOOD, "storage", f"Redis at {redis_address(settings)}")
    if (settings.redis_url or "").startswith("rediss://"):
        yield Finding(Level.GOOD, "TLS", "certificate and host name are checked")
    elif settings.redis_plaintext:
        text = "not used; REDIS_PLAINTEXT allows it"
        advice = "Use a rediss:// URL and remove REDIS_PLAINTEXT, unless the network is private."
        yield Finding(Level.WARNING, "TLS", text, advice)
    else:
        yield Finding(Level.GOOD, "TLS", "not used; Redis is on this machine")


def _assistant(settings: Settings) -> Finding:
    file = settings.assistant_file
    return Finding(Level.GOOD, "assistant", f"{file} is valid" if file else "a neutral assistant")


def _v1(settings: Settings) -> Finding:
    if not settings.is_v1_open:
        return Finding(Level.GOOD, "/v1", "closed; accepts only client keys that you issue")
    if settings.v1 is None:
        return Finding(Level.GOOD, "/v1", "open, as in every run without settings")
    text = "open; accepts client keys that anybody can get"
    advice = "Set PRIVITY_V1=closed, and issue client keys with: privity new-client-key"
    return Finding(Level.WARNING, "/v1", text, advice)


def _limits(settings: Settings) -> Finding:
    if settings.limits:
        return Finding(Level.GOOD, "limits", "on")
    text = "off; nothing limits what a caller may use"
    return Finding(Level.WARNING, "limits", text, "Remove PRIVITY_LIMITS=off.")


def _proxies(settings: Settings) -> Finding:
    if settings.is_https and settings.proxies == 0:
        text = "none, but https needs one; all callers count as one address"
        advice = "Set the number of your proxies, for example PRIVITY_PROXIES=1"
        return Finding(Level.WARNING, "proxies", text, advice)
    return Finding(Level.GOOD, "proxies", str(settings.proxies or "none"))


def _open_files(settings: Settings) -> Finding:
    """Whether the limit of this shell allows all connections; the service may have another one."""
    open_files, configured = raise_open_files(), settings.max_connections
    possible = possible_connections(open_files, configured, settings.max_turns)
    if possible >= configured:
        return Finding(Level.GOOD, "open files", f"enough for {configured:,} connections")
    text = f"a limit of {open_files:,} allows {possible:,} connections, not {configured:,}"
    advice = "Raise the hard limit (ulimit -Hn), or lower PRIVITY_MAX_CONNECTIONS."
    return Finding(Level.WARNING, "open files", text, advice)


async def public_url_finding(url: str | None) -> Finding:
    """Whether Privity answers at its public URL, as far as this machine can reach it."""
    if url is None:
        text = "not set; only localhost, IP addresses and PRIVITY_HOSTS are accepted"
        return Finding(Level.GOOD, _PUBLIC_URL, text)
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.get(
                f"{url}/health/live", allow_redirects=False, ssl=ssl.create_default_context()
            ) as response,
        ):
            return _answer_finding(url, response.status, await response.content.read(_MAX_ANSWER))
    except (aiohttp.ClientError, OSError) as error:
        return _failure_finding(url, error)


def _failure_finding(url: str, error: Exception) -> Finding:
    """Why there was no answer; TimeoutError is an OSError, too."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return _certificate_finding(url, error.certificate_error)
        case aiohttp.ClientSSLError():
            text = f"the server at {url} does not speak TLS"
            return Finding(Level.PROBLEM, _PUBLIC_URL, text, f"curl -v {url}/health/live")
        case aiohttp.ClientConnectorDNSError():
            reason = "its host name is not found"
        case aiohttp.ClientConnectorError(os_error=OSError(errno=int(number))):
            reason = os.strerror(number).lower()
        case TimeoutError():
            reason = "no answer in 5 seconds"
        case _:
            reason = "the connection failed"
    return _unreachable(url, reason)


def _unreachable(url: str, reason: str) -> Finding:
    """Unknown: the service may not run yet, or only other machines can reach this URL."""
    text = f"{url} could not be checked from here: {reason}"
    return Finding(Level.UNKNOWN, _PUBLIC_URL, text, f"On another machine: curl {url}/health/live")


def _certificate_finding(url: str, error: Exception) -> Finding:
    code, reason = 0, "invalid"
    if isinstance(error, ssl.SSLCertVerificationError):
        code, reason = error.verify_code, error.verify_message.rstrip(".")
    # Browsers may trust an authority that this machine does not know.
    level = Level.PROBLEM if code in (_EXPIRED, _WRONG_HOST, _WRONG_ADDRESS) else Level.WARNING
    text = f"the certificate of {url} is not accepted here: {reason}"
    return Finding(level, _PUBLIC_URL, text, f"curl -v {url}/health/live")


def _answer_finding(url: str, status: int, answer: bytes) -> Finding:
    check = f"curl -i {url}/health/live"
    if status == HTTPStatus.OK and _is_privitys(answer):
        return Finding(Level.GOOD, _PUBLIC_URL, f"{url} leads to Privity")
    if status in _GATEWAY_FAILURES:
        text = f"the proxy at {url} does not reach Privity (status {status})"
        return Finding(Level.WARNING, _PUBLIC_URL, text, f"Is the service running? {check}")
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        text = f"{url} could not be checked: it asks for a password (status {status})"
        return Finding(Level.UNKNOWN, _PUBLIC_URL, text, check)
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        text = f"{url} redirects to another address (status {status})"
        return Finding(Level.PROBLEM, _PUBLIC_URL, text, check)
    text = f"something other than Privity answers at {url} (status {status})"
    return Finding(Level.PROBLEM, _PUBLIC_URL, text, check)


def _is_privitys(answer: bytes) -> bool:
    try:
        document = msgspec.json.decode(answer)
    except msgspec.DecodeError:
        return False
    return bool(document == {"status": "ok"})
