"""The page /docs: its policy, its files, and the setting that removes it."""

import gzip
import re
from hashlib import sha256
from importlib import resources

import pytest

from entrypoints.settings import Settings
from tests.support.fake_model import EchoModel
from tests.support.native_client import NativeClient
from tests.support.service import running_service

SWAGGER_UI = resources.files("entrypoints.http") / "api_reference" / "swagger_ui"
CHECKSUMS = {
    name: checksum
    for checksum, name in map(str.split, (SWAGGER_UI / "SHA256SUMS").read_text().splitlines())
}


async def test_the_page_may_load_and_call_only_its_own_service(echo_client: NativeClient) -> None:
    answer = await echo_client.get("/docs")

    rules = dict(one.split(" ", 1) for one in answer.headers["content-security-policy"].split("; "))
    assert rules == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "set-cookie" not in answer.headers


async def test_every_file_that_the_page_loads_is_served(echo_client: NativeClient) -> None:
    page = (await echo_client.get("/docs")).body.decode()
    files = re.findall(r'(?:href|src)="([^"]+)"', page)

    found = {file: (await echo_client.get(f"/{file}")).status for file in files}

    assert len(found) >= 6
    assert set(found.values()) == {200}


@pytest.mark.parametrize("name", CHECKSUMS)
async def test_a_file_of_swagger_ui_is_the_released_one_compressed_or_not(
    echo_client: NativeClient, name: str
) -> None:
    compressed = await echo_client.get(f"/docs/{name}", accept_encoding="br, gzip;q=0.5")
    plain = await echo_client.get(f"/docs/{name}", accept_encoding="gzip;q=0, identity")

    assert compressed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert gzip.decompress(compressed.body) == plain.body
    assert sha256(plain.body).hexdigest() == CHECKSUMS[name]
    assert "Accept-Encoding" in plain.headers["vary"]


async def test_a_cached_file_is_not_sent_again(echo_client: NativeClient) -> None:
    first = await echo_client.get("/docs/swagger-ui.css", accept_encoding="gzip")

    again = await echo_client.get("/docs/swagger-ui.css", if_none_match=first.headers["etag"])

    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize("name", ["", "index.html", "VERSION", "swagger-ui.css.gz", "..%2fx"])
async def test_an_unknown_file_is_404(echo_client: NativeClient, name: str) -> None:
    answer = await echo_client.get(f"/docs/{name}")

    assert (answer.status, answer.code) == (404, "not_found")


async def test_the_page_belongs_to_the_hosts_and_methods_of_the_service(
    echo_client: NativeClient,
) -> None:
    elsewhere = await echo_client.get("/docs", host="evil.example")
    post = await echo_client.post("/docs", {})

    assert (elsewhere.status, elsewhere.code) == (421, "host_unknown")
    assert (post.status, post.headers["allow"]) == (405, "GET, HEAD")


async def test_the_setting_removes_the_page_but_not_the_document() -> None:
    async with running_service(Settings(docs=False), model=EchoModel()) as service:
        client = NativeClient(service.url)
        statuses = [
            (await client.get(path)).status
            for path in ("/docs", "/docs/swagger-ui.css", "/openapi.json")
        ]
        paths = (await client.get("/openapi.json")).document["paths"]

    assert statuses == [404, 404, 200]
    assert "/docs" not in paths
