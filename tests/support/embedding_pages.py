"""Pages of other sites that embed the widget."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Route, expect

from entrypoints.settings import Settings
from tests.support.browser import Chat, Visitor
from tests.support.fake_model import FakeModel
from tests.support.proxies import proxy_to
from tests.support.service import running_service

EMBEDDER = "https://blog.example"


def host_page(source: str, attributes: str = "", style: str = "") -> tuple[str, str]:
    """A page that embeds the widget, and its strict policy."""
    policy = f"default-src 'none'; script-src {source}; connect-src {source}"
    policy += "; require-trusted-types-for 'script'"
    policy += "; style-src 'unsafe-inline'" if style else ""
    style_element = f"<style>{style}</style>" if style else ""
    page = (
        '<!doctype html><html lang="en"><head><title>A host page</title>'
        f"{style_element}</head><body><main><h1>A host page</h1></main>"
        f'<script type="module" src="{source}/page/widget.js" {attributes}></script>'
        "</body></html>"
    )
    return page, policy


async def embed(
    visitor: Visitor, site: str, source: str, attributes: str = "", style: str = ""
) -> Chat:
    """Open a page of ``site`` that embeds the widget."""
    page, policy = host_page(source, attributes, style)

    async def fulfil(route: Route) -> None:
        headers = {"content-security-policy": policy}
        await route.fulfill(body=page, content_type="text/html", headers=headers)

    await visitor.context.route(f"{site}/host", fulfil)
    tab = await visitor.context.new_page()
    await tab.goto(f"{site}/host")
    return Chat(tab)


class DevelopmentServer:
    """A real server of pages that embed the widget, on a port of this machine."""

    def __init__(self) -> None:
        self.source = ""
        app = web.Application()
        app.router.add_get("/host", self._page)
        self._server = TestServer(app)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """The origin of the pages."""
        async with self._server as server:
            yield f"http://localhost:{server.port}"

    async def _page(self, _: web.Request) -> web.Response:
        page, policy = host_page(self.source)
        headers = {"content-security-policy": policy}
        return web.Response(text=page, content_type="text/html", headers=headers)


async def open_panel(chat: Chat, label: str = "Chat") -> None:
    """Open the widget's panel with its button."""
    await chat.button(label).click()
    await expect(chat.messages.first).to_be_visible()


@asynccontextmanager
async def served_by_https(fake_model: FakeModel, *embedders: str) -> AsyncIterator[str]:
    """The origin of a service behind TLS that these sites may embed."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("chat.example").configure_cert(tls)
    async with proxy_to(0, tls) as proxy:
        origin = f"https://chat.example:{proxy.port}"
        settings = Settings(public_url=origin, embedding_origins=embedders)
        async with running_service(settings, model=fake_model) as service:
            proxy.target = int(service.url.rpartition(":")[2])
            yield origin
