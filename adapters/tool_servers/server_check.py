"""Asks each tool server for its tools, and says in plain words what came of it."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from http import HTTPStatus
from types import MappingProxyType
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from mcp_types import Tool

from adapters.outgoing_http.server_problem import ServerProblem
from adapters.tool_servers.mcp_servers import LISTING_TIMEOUT, all_tools, silence_libraries
from adapters.tool_servers.mcp_session import UNKNOWN, SessionFailed, open_sessions
from adapters.tool_servers.tool_listing import Listing, listing, without_excess
from domain.model.tool_settings import McpServer
from ports.findings import Finding, Level
from ports.tool_servers import ServerTool

_MAX_NAMES: Final = 30
_REFUSED: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_NO_SUCH_PATH: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)
_CHECK_URL: Final = "Correct its `url` in ASSISTANT_FILE; often the path is wrong."
_LOOK_AT_LOG: Final = "Look at the log of the server."
_BY_REASON: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "unreachable": (
            "nothing answers there, or TLS fails",
            "Start it, or correct its `url`. Its certificate has to be valid on this system.",
        ),
        "lost": ("it closed the connection without a whole answer", _LOOK_AT_LOG),
        "timeout": ("it does not answer in time", _LOOK_AT_LOG),
        "not-mcp": ("something other than a tool server answers", _CHECK_URL),
        "invalid-answer": ("its answer cannot be understood", f"{_CHECK_URL} {_LOOK_AT_LOG}"),
        "too-large": ("its list of tools is too large", "Let the server list fewer tools."),
        "encoded": (
            "its answer is compressed, although the request does not allow that",
            "Switch compression off for this path, in the server and in proxies before it.",
        ),
        "rejected": ("it does not list its tools", _LOOK_AT_LOG),
    }
)
_LEFT_OUT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "name": "it has a name that models do not accept",
        "twice": "another tool has the same name",
        "schema": "its arguments are not an object, or nested too deeply",
        "too-large": "there is no room for it",
    }
)
"""Why a tool is not offered. ``missing`` ones are named one by one."""

_Answer: TypeAlias = Sequence[Tool] | SessionFailed | ServerProblem


async def server_findings(
    servers: Sequence[McpServer], *, within: timedelta = LISTING_TIMEOUT
) -> list[Finding]:
    """One finding for each server, in their order. Each may take as long as ``within``."""
    silence_libraries()
    answers = await asyncio.gather(*(_tools_of(server, within) for server in servers))
    listings = [
        None if isinstance(answer, Exception) else listing(server, answer)
        for server, answer in zip(servers, answers, strict=True)
    ]
    offered = without_excess(tool for each in listings if each for tool in each.tools).tools
    return [
        _finding(server, answer, found, offered)
        for server, answer, found in zip(servers, answers, listings, strict=True)
    ]


async def _tools_of(server: McpServer, within: timedelta) -> _Answer:
    try:
        async with open_sessions(server) as sessions:
            async with asyncio.timeout(within.total_seconds()):
                tools, _ = await sessions.run(all_tools, UNKNOWN)
            await sessions.until_ended()
            return tools
    except TimeoutError:
        return SessionFailed("timeout")
    except (SessionFailed, ServerProblem) as error:
        return error


def _finding(
    server: McpServer, answer: _Answer, found: Listing | None, offered: Sequence[ServerTool]
) -> Finding:
    topic = f"tool server {server.name}"
    # A query may have a secret.
    url = urlsplit(server.url)._replace(query="").geturl()
    if isinstance(answer, ServerProblem):
        return Finding(Level.PROBLEM, topic, str(answer))
    if isinstance(answer, SessionFailed):
        why, advice = _meaning(answer)
        return Finding(Level.PROBLEM, topic, f"{url}: {why}", advice)
    own = [tool for tool in offered if tool.server == server.name]
    has = f"{url} offers {len(own)} tool{'' if len(own) == 1 else 's'}"
    odd = [*_wrong_names(server, answer), *_not_offered(found or Listing(), len(own))]
    if not answer:
        odd = [("it has none", "Look at the server, or remove it from ASSISTANT_FILE."), *odd]
    if not odd:
        return Finding(Level.GOOD, topic, has)
    texts, corrections = zip(*odd, strict=True)
    advice = " ".join(dict.fromkeys(corrections))
    return Finding(Level.WARNING, topic, "; ".join([has, *texts]), advice)


def _wrong_names(server: McpServer, tools: Sequence[Tool]) -> Iterator[tuple[str, str]]:
    """The names in the file that no tool of the server has, and what to do about them."""
    names = {tool.name for tool in tools}
    for key, in_file in (("allowed", server.allowed), ("never_repeat", server.never_repeat)):
        wrong = sorted((in_file or frozenset()) - names)
        if wrong:
            yield (
                f"`{key}` names tools that it does not have: {', '.join(wrong)}",
                f"Correct `{key}` in ASSISTANT_FILE. The server has: {_shortened(sorted(names))}.",
            )


def _shortened(names: Sequence[str]) -> str:
    more = len(names) - _MAX_NAMES
    listed = ", ".join(names[:_MAX_NAMES]) or "no tools"
    return f"{listed} and {more} more" if more > 0 else listed


def _not_offered(found: Listing, offered: int) -> Iterator[tuple[str, str]]:
    """How many of the tools are not offered, by reason, and what to do about them."""
    left_out = dict(found.left_out)
    left_out["twice"] = left_out.get("twice", 0) + len(found.tools) - offered
    for reason, why in _LEFT_OUT.items():
        if count := left_out.get(reason, 0):
            advice = "Name the tools that you need in `allowed`, or correct them on the server."
            yield f"{count} not offered: {why}", advice


def _meaning(failed: SessionFailed) -> tuple[str, str]:
    """What is wrong, and what to do about it."""
    status = failed.status
    is_refusal = failed.reason in ("status", "rejected") and status != HTTPStatus.OK
    if status is None or not is_refusal:
        return _BY_REASON.get(failed.reason, ("it gives no usable answer", _LOOK_AT_LOG))
    if status in _REFUSED:
        why = f"it refuses the request (status {status})"
        return why, "Check the `headers` of this server in ASSISTANT_FILE."
    if status in _NO_SUCH_PATH:
        return f"it accepts no requests at this path (status {status})", _CHECK_URL
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        why = f"it redirects to another address (status {status})"
        return why, "Set its `url` to that address. Often only a / at the end is different."
    return f"it answers with status {status}", _LOOK_AT_LOG
