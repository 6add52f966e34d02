"""The tools that the operator declares, and how many of them one reply may use."""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from attrs import field, frozen
from attrs.validators import ge

from domain.model.prompt import Tool

DEFAULT_MAX_STEPS: Final = 8
DEFAULT_TOOL_TIMEOUT: Final = timedelta(seconds=30)


def _frozen_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(headers))


@frozen(kw_only=True)
class McpServer:
    """A tool server that speaks the Model Context Protocol.

    Attributes:
        name: the operator's name for it, which clients see too.
        url: an http or https URL.
        headers: sent with each request; the values may be secrets.
        allowed: names of the tools that may be offered; None: all that the server has.
        never_repeat: names of tools whose calls are never sent a second time.
    """

    name: str
    url: str
    headers: Mapping[str, str] = field(factory=dict, converter=_frozen_headers, repr=False)
    allowed: frozenset[str] | None = None
    never_repeat: frozenset[str] = frozenset()


@frozen(kw_only=True)
class ToolSettings:
    """All tools of the assistant.

    Attributes:
        client: tools that the client runs.
        servers: servers with tools that we run, in the order of the file.
        max_steps: how many times the model may be asked for one reply; the last time, it may call
            no tools.
        timeout: how long one call of a tool that we run may take.
    """

    client: tuple[Tool, ...] = ()
    servers: tuple[McpServer, ...] = ()
    max_steps: int = field(default=DEFAULT_MAX_STEPS, validator=ge(1))
    timeout: timedelta = DEFAULT_TOOL_TIMEOUT
