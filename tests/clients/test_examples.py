"""The examples run."""

import asyncio
import shutil
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator

import pytest

from tests.architecture.sources import ROOT
from tests.support.fake_model import EchoModel, FakeModel
from tests.support.node import EXAMPLE, Node, need_node, running
from tests.support.service import RunningService, running_service


@pytest.fixture
async def page(service: RunningService, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Node]:
    """The example page, served by its own tool."""
    need_node()
    monkeypatch.setenv("PRIVITY_URL", service.url)
    async with running("example.mjs", str(EXAMPLE)) as node:
        await node.ask("open")
        yield node


async def test_the_page_chats_and_is_still_there_after_a_reload(
    page: Node, fake_model: FakeModel
) -> None:
    await page.ask("until", text="Send")
    await page.ask("send", text="Hello?")
    model_reply = await fake_model.next_reply()
    model_reply.say("Hi")
    streaming = await page.ask("until", text="assistant: Hi")
    await page.ask("open")
    await page.ask("until", text="assistant: Hi")
    model_reply.say(" there")
    model_reply.finish()
    whole = await page.ask("until", text="assistant: Hi there", without="Stop")

    assert "Stop" in streaming
    assert "user: Hello?" in whole


async def test_the_page_stops_a_reply_and_forgets(page: Node, fake_model: FakeModel) -> None:
    await page.ask("send", text="Hello?")
    model_reply = await fake_model.next_reply()
    model_reply.say("Hi")
    await page.ask("until", text="assistant: Hi")
    await page.ask("press", name="Stop")
    await model_reply.left.wait()
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
    async with running_service(model=EchoModel()) as service:
        script = ROOT / "examples" / "curl.sh"
        process = await asyncio.create_subprocess_exec(
            "sh", str(script), service.url, stdout=PIPE, stderr=PIPE
        )
        out, err = await asyncio.wait_for(process.communicate(), 60)

    assert (process.returncode, err.decode()) == (0, "")
    assert '"content":"My favourite colour is teal. / What did I tell you? "' in out.decode()
    assert '"id":"curl"' in out.decode()
    assert out.decode().endswith("# Done.\n")
