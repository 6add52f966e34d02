"""Node.js with the npm packages that users have, for tests against them."""

import asyncio
import json
import os
import shutil
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

NODE_FOLDER = Path(__file__).parents[1] / "clients" / "node"
EXAMPLE = Path(__file__).parents[2] / "examples" / "use-chat"
REQUIRED = os.environ.get("PRIVITY_TEST_NODE") == "required"
HOW = "for at in tests/clients/node examples/use-chat; do npm ci --prefix $at; done"
_TIMEOUT_SECONDS = 60
_LONGEST_LINE = 2**24


def is_installed() -> bool:
    """Whether Node.js and the packages are installed."""
    installed = all((at / "node_modules").is_dir() for at in (NODE_FOLDER, EXAMPLE))
    return installed and shutil.which("node") is not None


def need_node() -> None:
    """Skip the test without Node.js and the packages; fail it if they are required."""
    if is_installed():
        return
    why = f"needs Node.js and its packages: {HOW}"
    pytest.fail(why) if REQUIRED else pytest.skip(why)


class Node:
    """A running script that answers each line of JSON with one line of JSON."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def call(self, action: str, **details: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"action": action, **details}).encode() + b"\n")
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            line = await self._process.stdout.readline()
        assert line, "the script has ended"
        answer = json.loads(line)
        assert "failed" not in answer, answer
        return answer["result"]


@asynccontextmanager
async def running(script: str, *arguments: str) -> AsyncIterator[Node]:
    """Run the script in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        "node", str(NODE_FOLDER / script), *arguments, stdin=PIPE, stdout=PIPE, limit=_LONGEST_LINE
    )
    try:
        yield Node(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            await process.communicate()
