"""The recipe in plain HTML, on a server of its own."""

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, expect

from entrypoints.settings import Settings
from tests.architecture.sources import ROOT
from tests.support.fake_model import FakeModel
from tests.support.redis_servers import free_port
from tests.support.service import running_service

pytestmark = pytest.mark.asyncio(loop_scope="session")
PAGE = ROOT / "examples" / "plain-html" / "index.html"
ADDRESS = 'data-privity="http://localhost:8000"'


async def test_the_page_in_plain_html_streams_and_survives_a_reload(
    browser: Browser, fake_model: FakeModel
) -> None:
    port = free_port()
    settings = Settings(embedding_origins=(f"http://localhost:{port}",))
    async with running_service(settings, model=fake_model) as service:
        address = service.url.replace("127.0.0.1", "localhost")
        text = PAGE.read_text("utf-8")
        assert ADDRESS in text
        text = text.replace(ADDRESS, f'data-privity="{address}"')

        async def page_of(_: web.Request) -> web.Response:
            return web.Response(text=text, content_type="text/html")

        app = web.Application()
        app.router.add_get("/", page_of)
        async with TestServer(app, host="localhost", port=port):
            tab = await browser.new_page()
            await tab.goto(f"http://localhost:{port}/")
            await tab.get_by_label("Message").fill("Hello?")
            await tab.get_by_role("button", name="Send").click()
            reply = await fake_model.next_reply()
            reply.send_text("Good ")
            await expect(tab.get_by_role("log")).to_contain_text("Good")
            reply.send_text("morning")
            reply.finish()
            await expect(tab.get_by_role("log")).to_contain_text("Good morning")
            await tab.reload()
            await expect(tab.get_by_role("log")).to_have_text("Hello?Good morning")
            await tab.close()
