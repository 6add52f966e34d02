"""The tables ``tools.mcp`` of the assistant's file: tool servers.

The values of headers are secrets, so a problem names the header and never the value.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from adapters.assistant_profile.toml_values import (
    NAME_RULE,
    is_name,
    is_text,
    repeated,
    unknown_keys,
)
from adapters.outgoing_http.loopback import is_loopback
from domain.model.tool_settings import McpServer

KEYS: Final = frozenset({"name", "url", "plaintext", "headers", "allowed", "never_repeat"})
FILE_KEYS: Final = frozenset({"file", "prefix"})
MAX_SERVERS: Final = 16
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_HEADER_VALUE: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e\t]{0,8190}[\x21-\x7e])?")
_SECRET_HEADERS: Final = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key"})
_OWN_HEADERS: Final = frozenset(
    {
        "accept",
        "connection",
        "content-length",
        "content-type",
        "host",
        "last-event-id",
        "mcp-protocol-version",
        "mcp-session-id",
        "transfer-encoding",
    }
)


def server_problems(servers: Any, folder: Path) -> Iterator[str]:
    """Every problem in the tables. Relative paths in them begin at ``folder``."""
    if not isinstance(servers, list) or not all(isinstance(server, dict) for server in servers):
        yield "tools.mcp must be a list of tables: [[tools.mcp]]"
        return
    if len(servers) > MAX_SERVERS:
        yield f"tools.mcp can have at most {MAX_SERVERS} servers."
    for number, server in enumerate(servers, 1):
        yield from _server_problems(f"tools.mcp[{number}]", server, folder)
    for name in repeated(server.get("name") for server in servers):
        yield f"tools.mcp has two servers with the name {name}."


def tool_servers(servers: Sequence[Mapping[str, Any]], folder: Path) -> tuple[McpServer, ...]:
    """The servers in valid tables, in the order of the file."""
    return tuple(
        McpServer(
            name=server["name"],
            url=server["url"],
            headers={
                name: value if isinstance(value, str) else _read(value, folder)
                for name, value in server.get("headers", {}).items()
            },
            allowed=frozenset(server["allowed"]) if "allowed" in server else None,
            never_repeat=frozenset(server.get("never_repeat", ())),
        )
        for server in servers
    )


def _server_problems(path: str, server: Mapping[str, Any], folder: Path) -> Iterator[str]:
    yield from unknown_keys(server, KEYS, f"{path}.")
    if not is_name(server.get("name")):
        yield f"{path}.name {NAME_RULE}"
    yield from _url_problems(path, server)
    for key in ("allowed", "never_repeat"):
        names = server.get(key, [])
        if not isinstance(names, list) or not all(is_text(name) for name in names):
            yield f"{path}.{key} must be a list of the names of tools."
    headers = server.get("headers", {})
    if not isinstance(headers, dict):
        yield f"{path}.headers must be a table."
        return
    for name, value in headers.items():
        problem = _header_problem(name, value, folder)
        if problem is not None:
            yield f"{path}.headers.{name} {problem}"
    for name in repeated(name.lower() for name in headers):
        yield f"{path}.headers has the header {name} twice."


def _url_problems(path: str, server: Mapping[str, Any]) -> Iterator[str]:
    plaintext = server.get("plaintext")
    if plaintext not in (None, "allow"):
        yield f'{path}.plaintext can only be "allow".'
    host = _host(server.get("url"))
    if host is None:
        yield f"{path}.url must be an http or https URL without user, password or #."
    elif str(server["url"]).lower().startswith("http:") and not (plaintext or is_loopback(host)):
        yield (
            f"{path}.url connects to another machine without TLS. Use https://, or set "
            f'plaintext = "allow".'
        )


def _host(url: Any) -> str | None:
    """The host of the URL; None if the URL is invalid."""
    if not isinstance(url, str) or not url.isascii() or any(map(str.isspace, url)):
        return None
    try:
        parts = urlsplit(url)
        is_valid = parts.scheme in ("http", "https") and parts.port != 0
    except ValueError:
        return None
    has_more = parts.username is not None or parts.password is not None or "#" in url
    return parts.hostname if is_valid and not has_more else None


def _header_problem(name: str, value: Any, folder: Path) -> str | None:
    if not _HEADER_NAME.fullmatch(name):
        return "is not the name of a header."
    if name.lower() in _OWN_HEADERS:
        return "cannot be set: the service sets it itself."
    if isinstance(value, str):
        if name.lower() in _SECRET_HEADERS:
            return 'must come from a file: { file = "/run/secrets/some-name" }'
        return None if _HEADER_VALUE.fullmatch(value) else "is not a valid value of a header."
    return _file_problem(value, folder)


def _file_problem(value: Any, folder: Path) -> str | None:
    is_table = isinstance(value, dict) and value.keys() <= FILE_KEYS and is_text(value.get("file"))
    if not is_table or not isinstance(value.get("prefix", ""), str):
        return 'must be a string, or the path of a file: { file = "…", prefix = "Bearer " }'
    try:
        content = _read(value, folder)
    except (OSError, UnicodeError, ValueError):
        return "names a file that cannot be read."
    if content == value.get("prefix", "").strip():
        return "names a file that is empty."
    return None if _HEADER_VALUE.fullmatch(content) else "names a file with more than one line."


def _read(value: Mapping[str, str], folder: Path) -> str:
    """The value of a header from a file, without the white space around it."""
    content = (folder / value["file"]).read_text(encoding="utf-8-sig").strip()
    return (value.get("prefix", "") + content).strip()
