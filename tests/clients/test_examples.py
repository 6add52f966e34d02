"""The examples run."""

import asyncio
import shutil
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT
from tests.support.fake_model import EchoModel, FakeModel
from tests.support.node import EXAMPLE, Node, need_node, running
from tests.support.service import RunningService, running_service


@pytest.fixture
async def page(service: RunningService, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Node]:
    """The example page, served by its own build tool."""
    need_node()
    monkeypatch.setenv("PRIVITY_URL", service.url)
    async with running("example.mjs", str(EXAMPLE)) as node:
        await node.call("open")
        yield node


async def test_the_example_page_chats_and_survives_a_reload(
    page: Node, fake_model: FakeModel
) -> None:
    await page.call("until", text="Send")
    await page.call("send", text="Hello?")
    model_reply = await fake_model.next_reply()
    model_reply.send_text("Hi")
    streaming = await page.call("until", text="assistant: Hi")
    await page.call("open")
    await page.call("until", text="assistant: Hi")
    model_reply.send_text(" there")
    model_reply.finish()
    whole = await page.call("until", text="assistant: Hi there", without="Stop")

    assert "Stop" in streaming
    assert "user: Hello?" in whole


async def test_the_example_page_stops_a_reply_and_forgets(
    page: Node, fake_model: FakeModel
) -> None:
    await page.call("send", text="Hello?")
    model_reply = await fake_model.next_reply()
    model_reply.send_text("Hi")
    await page.call("until", text="assistant: Hi")
    await page.call("press", name="Stop")
    await model_reply.closed.wait()
    stopped = await page.call("until", text="Send", without="Stop")
    await page.call("press", name="Forget")
    await page.call("until", without="Hello?")
    await page.call("open")
    reloaded = await page.call("until", text="Send")

    assert "assistant: Hi" in stopped
    assert "Hello?" not in reloaded


async def test_the_example_page_says_that_an_earlier_conversation_was_forgotten(
    page: Node, fake_model: FakeModel
) -> None:
    restarted = ""
    for text in ("One", "Two"):
        await page.call("send", text=text)
        model_reply = await fake_model.next_reply()
        model_reply.send_text(f"{text} it is")
        model_reply.finish()
        restarted = await page.call("until", text=f"assistant: {text} it is", without="Stop")
        await page.call("forgetElsewhere")

    assert "The earlier conversation has been forgotten." in restarted
    assert "user: Two" in restarted
    assert "One" not in restarted


async def test_the_example_page_shows_what_another_tab_has_written(
    page: Node, fake_model: FakeModel
) -> None:
    await page.call("send", text="One")
    (await fake_model.next_reply()).fail()
    await page.call("until", text="Try again")
    elsewhere = asyncio.create_task(page.call("sendElsewhere", text="Two"))
    model_reply = await fake_model.next_reply()
    model_reply.send_text("Two it is")
    model_reply.finish()
    await elsewhere
    await page.call("press", name="Try again")
    await page.call("until", text="Another tab has written more.")
    await page.call("press", name="Show it")
    shown = await page.call("until", text="assistant: Two it is")

    assert "user: One" in shown
    assert "user: Two" in shown


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


ROUTE = ROOT / "examples" / "sveltekit" / "src" / "routes" / "api" / "chat" / "[...path]"
CALL_ROUTE = """
const [url, site, origin] = process.argv.slice(1);
const { POST } = await import(url);
const headers = { 'content-type': 'application/json', 'sec-fetch-site': site, origin };
const request = new Request('https://app.test/api/chat', { method: 'POST', headers, body: '{}' });
const details = { params: { path: '' }, url: new URL(request.url), getClientAddress: () => '::1' };
console.log((await POST({ request, ...details })).status);
"""


@pytest.mark.parametrize(
    ("site", "origin", "status"),
    [
        ("same-origin", "https://app.test", "400"),
        ("same-site", "https://other.app.test", "403"),
        ("cross-site", "https://other.test", "403"),
    ],
)
async def test_the_route_of_sveltekit_tells_other_sites_apart(
    service: RunningService, tmp_path: Path, site: str, origin: str, status: str
) -> None:
    need_node()
    code = (ROUTE / "+server.js").read_text("utf-8")
    line = "import { env } from '$env/dynamic/private';"
    assert line in code
    route = tmp_path / "route.mjs"
    route.write_text(code.replace(line, f"const env = {{ PRIVITY_URL: '{service.url}' }};"))
    arguments = ["--input-type=module", "--eval", CALL_ROUTE, route.as_uri(), site, origin]
    node = await asyncio.create_subprocess_exec("node", *arguments, stdout=PIPE)
    async with asyncio.timeout(60):
        out, _ = await node.communicate()

    assert out.decode().strip() == status
