"""The files of the chat page: media types, caching, and which sites may load them."""

import json
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from adapters.assistant_profile.toml_file import NEUTRAL
from domain.model.limits import MessageLimit
from entrypoints.http.page.assets import chat_page
from entrypoints.settings import Settings
from tests.support.fake_model import EchoModel
from tests.support.native_client import NativeClient
from tests.support.service import HTTPS, running_service

FILES = chat_page(NEUTRAL, MessageLimit()).files
EMBEDDER = "https://blog.example"
TYPES = {
    "main.js": "text/javascript; charset=utf-8",
    "chat.css": "text/css; charset=utf-8",
    "words.fi.json": "application/json",
    "languages.json": "application/json",
    "icon.svg": "image/svg+xml",
}


@pytest.mark.parametrize(("name", "media_type"), TYPES.items())
async def test_a_file_has_its_media_type_and_is_revalidated(
    echo_client: NativeClient, name: str, media_type: str
) -> None:
    answer = await echo_client.get(f"/page/{name}")

    assert (answer.status, answer.body) == (200, FILES[name].content)
    assert answer.headers["content-type"] == media_type
    assert answer.headers["cache-control"] == "no-cache"
    assert "set-cookie" not in answer.headers


async def test_a_cached_file_is_not_sent_again(echo_client: NativeClient) -> None:
    first = await echo_client.get("/page/main.js")

    again = await echo_client.get(
        "/page/main.js", if_none_match=f'W/"old", {first.headers["etag"]}'
    )
    older = await echo_client.get("/page/main.js", if_none_match='"old"')

    assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert (older.status, older.body) == (200, first.body)


@pytest.mark.parametrize(
    "name",
    ["index.html", "", "gone.js", "__init__.py", "..%2fapp.py", "words.xx.json", "a/main.js"],
)
async def test_an_unknown_page_file_is_404(echo_client: NativeClient, name: str) -> None:
    answer = await echo_client.get(f"/page/{name}")

    assert (answer.status, answer.code) == (404, "not_found")


async def test_the_page_may_load_only_its_own_scripts_and_call_only_its_own_service(
    echo_client: NativeClient,
) -> None:
    policy = (await echo_client.get("/")).headers["content-security-policy"]
    allowed = dict(rule.split(" ", 1) for rule in policy.split("; "))
    [style] = allowed.pop("style-src").split()

    assert style.startswith("'sha256-")
    assert allowed == {
        "default-src": "'none'",
        "script-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }


async def test_the_first_paint_waits_only_for_the_document(echo_client: NativeClient) -> None:
    page = (await echo_client.get("/")).body.decode()

    assert "<style>:root" in page
    assert 'rel="stylesheet"' not in page
    assert re.findall(r"<script[^>]*>", page) == [
        '<script type="module" src="page/main.js">',
        '<script type="application/json" id="data">',
    ]
    assert '<link rel="modulepreload" href="page/chat.js">' in page


def data_in(page: str) -> Any:
    """The data that the document brings along."""
    [data] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    return json.loads(data)


@pytest.mark.parametrize(
    ("accepted", "tag", "welcome"),
    [
        ("", "en", "Hello! What would you like to know?"),
        ("fi-FI,fi;q=0.9,en;q=0.8", "fi", "Hei! Mitä haluaisit tietää?"),
        ("de,sv;q=0.5", "sv", "Hej! Vad vill du veta?"),
        ("ar;q=0,tlh", "en", "Hello! What would you like to know?"),
    ],
)
async def test_the_document_has_the_words_and_the_welcome_in_the_readers_language(
    echo_client: NativeClient, accepted: str, tag: str, welcome: str
) -> None:
    page = (await echo_client.get("/", accept_language=accepted)).body.decode()

    data = data_in(page)
    assert (data["words"]["tag"], data["words"]["welcome"]) == (tag, welcome)
    assert data["words"] == (await echo_client.get(f"/page/words.{tag}.json")).document
    assert data["languages"] == ["ar", "en", "fi", "sv"]


async def test_a_welcome_with_markup_stays_data(tmp_path: Path) -> None:
    welcome = "</script><script>alert(1)</script> & <!-- {preloads} \u2028"
    file = tmp_path / "assistant.toml"
    file.write_text(f"system_prompt = 'x'\n[welcome]\nfi = {json.dumps(welcome)}\n", "utf-8")
    async with running_service(Settings(assistant_file=file), model=EchoModel()) as service:
        client = NativeClient(service.url)
        page = (await client.get("/", accept_language="sv")).body.decode()
        session = await client.post("/api/sessions", {"locale": "sv"})

    data = data_in(page)
    assert "alert" not in re.sub(r"<script type=.*?</script>", "", page, flags=re.DOTALL)
    assert (data["words"]["tag"], data["words"]["welcome"]) == ("sv", welcome)
    assert session.document["welcome"] == welcome


async def test_every_response_has_a_date(echo_client: NativeClient) -> None:
    # uvicorn renews the Date header once per second.
    before = datetime.now(UTC) - timedelta(seconds=3)
    paths = ("/page/main.js", "/api/chat", "/gone")
    answers = [await echo_client.get(path) for path in paths] + [await echo_client.send("Hi")]

    dates = [parsedate_to_datetime(answer.headers["date"]) for answer in answers]

    assert all(before <= time <= datetime.now(UTC) for time in dates)


async def test_only_a_listed_site_may_load_the_widget() -> None:
    settings = Settings(public_url=HTTPS, embedding_origins=(EMBEDDER,))
    async with running_service(settings, model=EchoModel()) as service:
        client = NativeClient(service.url)
        listed = await client.get("/page/widget.js", origin=EMBEDDER)
        other = await client.get("/page/widget.js", origin="https://evil.example")

    assert listed.headers["access-control-allow-origin"] == EMBEDDER
    assert "date" in listed.headers["access-control-expose-headers"]
    assert "access-control-allow-origin" not in other.headers
    assert {listed.headers["vary"].lower(), other.headers["vary"].lower()} <= {
        "origin",
        "origin, origin",
    }
