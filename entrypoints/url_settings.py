"""The types of settings that hold URLs, origins and host names.

Each is a description of valid values and a parser, which raises ``InvalidValue`` or ValueError.
"""

import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from adapters.outgoing_http.loopback import is_loopback
from entrypoints.setting_types import InvalidValue

_HOST: Final = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_PLAIN_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_MODEL_PATHS: Final = ("/chat/completions", "/completions", "/responses", "/models")


def is_remote(url: str | None, *, scheme: str) -> bool:
    """Whether ``url`` has this scheme and its host is not a loopback address."""
    parts = urlsplit(url or "")
    return parts.scheme == scheme and not is_loopback(parts.hostname or "")


def _url_parts(text: str, schemes: tuple[str, ...]) -> SplitResult:
    """The parts of a URL with one of ``schemes``, a host, and a valid port or none."""
    if any(character.isspace() for character in text):
        raise InvalidValue("the URL contains white space.")
    if not text.lower().startswith(tuple(f"{scheme}://" for scheme in schemes)):
        expected = " or ".join(f"{scheme}://" for scheme in schemes)
        raise InvalidValue(f"the URL must begin with {expected}.")
    parts = urlsplit(text)
    if not parts.hostname:
        raise InvalidValue("the URL has no host.")
    if not _can_be_looked_up(parts.hostname):
        raise InvalidValue("a part of the host name is empty or too long.")
    try:
        is_possible = parts.port != 0
    except ValueError:
        is_possible = False
    if not is_possible:
        raise InvalidValue("the port must be a number from 1 to 65535.")
    return parts


def _can_be_looked_up(host: str) -> bool:
    """Whether the system accepts ``host``; otherwise it raises an error that no lookup expects."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


def _http_url(text: str) -> SplitResult:
    parts = _url_parts(text, ("http", "https"))
    # URLs end up in logs and error messages, so they must not contain a password.
    if parts.username is not None:
        raise InvalidValue("the URL must not contain a user or password.")
    if parts.query or parts.fragment:
        raise InvalidValue("the URL must not contain ? or #.")
    return parts


def _base_url(text: str) -> str:
    base = _http_url(text).geturl().rstrip("/")
    for path in _MODEL_PATHS:
        if base.endswith(path):
            raise InvalidValue(f"remove {path} from the end of the URL. It usually ends with /v1.")
    return base


def _hook_url(text: str) -> str:
    url = _http_url(text).geturl()
    if not url.isascii():
        hint = "write the host name in its ASCII form (xn--), and encode other characters with %."
        raise InvalidValue(hint)
    return url


def _origin(text: str) -> str:
    parts = _http_url(text)
    if parts.path.strip("/"):
        raise InvalidValue("the URL must end after the host and port.")
    if not parts.netloc.isascii():
        # Browsers send the ASCII form, in Host and in Origin.
        raise InvalidValue("write the host name in its ASCII form, which begins with xn--.")
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    # As browsers write it: without the port that the scheme has anyway.
    is_default = parts.port in (None, _DEFAULT_PORTS[parts.scheme])
    return f"{parts.scheme}://{host}" + ("" if is_default else f":{parts.port}")


def _origins(text: str) -> tuple[str, ...]:
    return tuple(_origin(item.strip()) for item in text.split(",") if item.strip())


def _hosts(text: str) -> tuple[str, ...]:
    hosts = tuple(item.strip().lower() for item in text.split(",") if item.strip())
    if not hosts or not all(_HOST.fullmatch(host) for host in hosts):
        raise ValueError
    return tuple(host.removesuffix(".") for host in hosts)


def _redis_url(text: str) -> str:
    if text.lower().startswith("unix:"):
        return _redis_socket(text)
    _require_encoded_password(text)
    parts = _url_parts(text, ("rediss", "redis"))
    # Options could switch off certificate checks.
    if parts.query or parts.fragment:
        raise InvalidValue("the URL must not contain options after ? or #.")
    if not (parts.path.strip("/") or "0").isdecimal():
        raise InvalidValue("after the host and port, only a database number may follow, as in /0.")
    return parts.geturl()


def _require_encoded_password(text: str) -> None:
    """Refuse a password whose characters make other parts of the URL out of it."""
    credentials, at, _ = text.partition("://")[2].rpartition("@")
    if at and any(character in credentials for character in "/?#[]"):
        raise InvalidValue(
            "the password contains /, ?, #, [ or ]. Write %2F, %3F, %23, %5B or %5D instead."
        )
    if _PLAIN_PERCENT.search(credentials):
        raise InvalidValue("the password contains %. Write %25 instead.")


def _redis_socket(text: str) -> str:
    parts = urlsplit(text)
    if not text.startswith("unix://") or not parts.path.strip("/"):
        raise InvalidValue(
            "the path of a socket must follow unix://, as in unix:///run/redis.sock."
        )
    if parts.fragment or (parts.query and not parts.query.removeprefix("db=").isdecimal()):
        raise InvalidValue("after the path of the socket, only ?db= and a number may follow.")
    return text


URL: Final = ("an http or https URL without user, password or query", _base_url)
HOOK_URL: Final = ("an http or https URL without user, password or query", _hook_url)
ORIGIN: Final = ("an origin such as https://chat.example.org", _origin)
ORIGINS: Final = ("origins such as https://example.org, separated by commas", _origins)
HOSTS: Final = ("host names without a port, separated by commas", _hosts)
REDIS_URL: Final = (
    "a redis:// or rediss:// URL without options, or a unix:// URL with at most ?db=",
    _redis_url,
)
