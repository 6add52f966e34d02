"""The examples run."""

import asyncio
import shutil
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator

import pytest

from tests.architecture.sources import ROOT
from tests.support.fake_model import Parrot, Puppet
from tests.support.node import EXAMPLE, Node, need_node, running
from tests.support.service import Served, served


@pytest.fixture
async def page(service: Served, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Node]:
    """The example page, served by its own tool."""
    need_node()
    monkeypatch.setenv("PRIVITY_URL", service.url)
    async with running("example.mjs", str(EXAMPLE)) as node:
        await node.ask("open")
        yield node


async def test_the_page_chats_and_is_still_there_after_a_reload(page: Node, puppet: Puppet) -> None:
    await page.ask("until", text="Send")
    await page.ask("send", text="Hello?")
    speaking = await puppet.asked()
    speaking.say("Hi")
    streaming = await page.ask("until", text="assistant: Hi")
    await page.ask("open")
    await page.ask("until", text="assistant: Hi")
    speaking.say(" there")
    speaking.finish()
    whole = await page.ask("until", text="assistant: Hi there", without="Stop")

    assert "Stop" in streaming
    assert "user: Hello?" in whole


async def test_the_page_stops_a_reply_and_forgets(page: Node, puppet: Puppet) -> None:
    await page.ask("send", text="Hello?")
    speaking = await puppet.asked()
    speaking.say("Hi")
    await page.ask("until", text="assistant: Hi")
    await page.ask("press", name="Stop")
    await speaking.left.wait()
    stopped = await page.ask("until", text="Send", without="Stop")
    await page.ask("press", name="Forget")
    await page.ask("until", without="Hello?")
    await page.ask("open")
    reloaded = await page.ask("until", text="Send")

    assert "assistant: Hi" in stopped
    assert "Hello?" not in reloaded


async def test_the_curl_session_runs() -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    async with served(model=Parrot()) as service:
        script = ROOT / "examples" / "curl.sh"
        process = await asyncio.create_subprocess_exec(
            "sh", str(script), service.url, stdout=PIPE, stderr=PIPE
        )
        out, err = await asyncio.wait_for(process.communicate(), 60)

    assert (process.returncode, err.decode()) == (0, "")
    assert '"content":"My favourite colour is teal. / What did I tell you? "' in out.decode()
    assert '"id":"curl"' in out.decode()
    assert out.decode().endswith("# Done.\n")
