"""Behind nginx and Caddy, set up as the files in ``deploy/`` say."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from io import BytesIO
from typing import Any

import aiohttp
import pytest
from attrs import frozen

from entrypoints.settings import Settings
from tests.support.event_stream import events_in
from tests.support.fake_model import EchoModel, FakeModel
from tests.support.reverse_proxies import HOST, ReverseProxy, caddy, nginx, why_no
from tests.support.service import running_service

SETTINGS = Settings(public_url=f"https://{HOST}", proxies=1, new_per_hour=2)
PROXIES = [
    pytest.param(
        proxy,
        marks=pytest.mark.skipif(bool(why_no(proxy.__name__)), reason=why_no(proxy.__name__)),
        id=proxy.__name__,
    )
    for proxy in (nginx, caddy)
]
OpenProxy = Callable[[str], AbstractContextManager[ReverseProxy]]


@frozen
class Browser:
    """A client of the proxy, with its own cookies."""

    session: aiohttp.ClientSession
    proxy: ReverseProxy

    @asynccontextmanager
    async def request(
        self, method: str, path: str, **arguments: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {"host": HOST, **arguments.pop("headers", {})}
        url = f"https://127.0.0.1:{self.proxy.https_port}{path}"
        async with self.session.request(
            method, url, headers=headers, server_hostname=HOST, **arguments
        ) as response:
            yield response

    async def status(self, method: str, path: str, **arguments: Any) -> int:
        async with self.request(method, path, **arguments) as response:
            await response.read()
            return response.status


@asynccontextmanager
async def browsing(proxy: ReverseProxy) -> AsyncIterator[Browser]:
    context = ssl.create_default_context()
    proxy.authority.configure_trust(context)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        yield Browser(session, proxy)


@pytest.mark.parametrize("proxy", PROXIES)
async def test_each_piece_of_a_reply_passes_at_once(proxy: OpenProxy) -> None:
    model = FakeModel()
    async with running_service(SETTINGS, model=model) as service:
        with proxy(service.url) as running:
            async with (
                browsing(running) as browser,
                browser.request("POST", "/api/chat", json={"message": "Hello?"}) as response,
            ):
                reply = await model.next_reply()
                received = b""
                for text in ("One", "two", "three"):
                    # The next piece is sent only after this one has arrived.
                    reply.send_text(text)
                    async with asyncio.timeout(20):
                        while f'"delta":"{text}"'.encode() not in received:
                            received += await response.content.readany()
                reply.finish()
                received += await response.read()

    assert response.status == 200
    assert events_in(received)[-1].name == "metadata-info"


@pytest.mark.parametrize("proxy", PROXIES)
async def test_a_cookie_is_secure_and_browsers_come_back_over_https(proxy: OpenProxy) -> None:
    async with running_service(SETTINGS, model=EchoModel()) as service:
        with proxy(service.url) as running:
            async with (
                browsing(running) as browser,
                browser.request("POST", "/api/chat", json={"message": "Hello?"}) as response,
            ):
                await response.read()
            async with (
                aiohttp.ClientSession() as plain,
                plain.get(
                    f"http://127.0.0.1:{running.http_port}/page?a=b",
                    headers={"host": HOST},
                    allow_redirects=False,
                ) as redirect,
            ):
                location = redirect.headers["location"]

    assert response.headers["strict-transport-security"] == "max-age=31536000"
    assert "Secure" in response.headers["set-cookie"]
    assert redirect.status == 308
    assert location.startswith(f"https://{HOST}")
    assert location.endswith("/page?a=b")


@pytest.mark.parametrize("proxy", PROXIES)
async def test_nobody_chooses_the_address_whose_limits_count(proxy: OpenProxy) -> None:
    statuses = []
    async with running_service(SETTINGS, model=EchoModel()) as service:
        with proxy(service.url) as running:
            for number in range(3):
                async with browsing(running) as browser:
                    headers = {"x-forwarded-for": f"192.0.2.{number}"}
                    status = await browser.status(
                        "POST", "/api/chat", json={"message": "Hello?"}, headers=headers
                    )
                    statuses.append(status)

    assert statuses == [200, 200, 429]


@pytest.mark.parametrize("proxy", PROXIES)
async def test_the_largest_body_reaches_the_service_and_a_larger_one_does_not(
    proxy: OpenProxy,
) -> None:
    async with running_service(SETTINGS, model=EchoModel()) as service:
        with proxy(service.url) as running:
            async with browsing(running) as browser:
                large, largest = (BytesIO(b"x" * size) for size in (2_090_000, 3_300_000))
                typed = {"content-type": "application/json"}
                async with browser.request(
                    "POST", "/api/chat", data=large, headers=typed
                ) as response:
                    answer = await response.text()
                refused = await browser.status("POST", "/api/chat", data=largest, headers=typed)

    assert response.content_type == "application/problem+json"
    assert "code" in answer
    assert refused == 413
