"""Reading server-sent events, as far as our own streams need it."""

from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import msgspec
from attrs import frozen


@frozen(kw_only=True)
class ServerEvent:
    """One event with a JSON document; its name is empty unless the server gave one."""

    name: str
    document: dict[str, Any]


async def events_of(lines: AsyncIterable[bytes]) -> AsyncIterator[ServerEvent]:
    """The events of a stream of lines; comments and ``[DONE]`` are passed over."""
    name = ""
    async for raw in lines:
        line = raw.decode().rstrip("\n")
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: ") and line != "data: [DONE]":
            document = msgspec.json.decode(line.removeprefix("data: "))
            yield ServerEvent(name=name, document=document)
        elif not line:
            name = ""
