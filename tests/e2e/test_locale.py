"""The assistant's language is taken from the body, the path or the browser, in this order."""

from collections.abc import Iterator

import pytest
from attrs import evolve

from tests.support.fake_model import EchoModel
from tests.support.http_client import Answer
from tests.support.native_client import NativeClient
from tests.support.service import UNLIMITED, running_service_in_thread

PROFILE = """
system_prompt = "Be kind."

[welcome]
en = "Welcome"
fi = "Tervetuloa"
pt-BR = "Bem-vindo"
"""


@pytest.fixture(scope="module")
def multilingual_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service whose assistant has welcomes in English, Finnish and Portuguese."""
    file = tmp_path_factory.mktemp("profile") / "assistant.toml"
    file.write_text(PROFILE)
    with running_service_in_thread(evolve(UNLIMITED, assistant_file=file), EchoModel()) as url:
        yield url


@pytest.fixture
def multilingual_client(multilingual_service: str) -> NativeClient:
    """A client of that service."""
    return NativeClient(multilingual_service)


def welcome(answer: Answer) -> tuple[str, str]:
    assert answer.status == 201, answer.body
    return answer.document["locale"], answer.document["welcome"]


@pytest.mark.parametrize(
    ("locale", "expected"),
    [
        ("fi", ("fi", "Tervetuloa")),
        ("FI-fi", ("fi", "Tervetuloa")),
        ("pt_br", ("pt-BR", "Bem-vindo")),
        ("sv", ("en", "Welcome")),
        (None, ("en", "Welcome")),
    ],
)
async def test_the_body_sets_the_language_of_the_welcome(
    multilingual_client: NativeClient, locale: str | None, expected: tuple[str, str]
) -> None:
    answer = await multilingual_client.post("/api/sessions", {"locale": locale})

    assert welcome(answer) == expected


@pytest.mark.parametrize(
    ("accepted", "locale"),
    [
        ("fi", "fi"),
        ("sv, fi;q=0.8, en;q=0.9", "en"),
        ("de;q=x, pt-BR;q=0.1", "pt-BR"),
        ("*, fi;q=0", "en"),
        ("", "en"),
        (",;;q=,=" + "x," * 500, "en"),
    ],
)
async def test_the_browser_sets_the_language_of_a_first_message(
    multilingual_client: NativeClient, accepted: str, locale: str
) -> None:
    answer = await multilingual_client.post(
        "/api/chat", {"message": "Hi"}, accept_language=accepted
    )

    export = await multilingual_client.get(f"/api/chat/{answer.session_id}/export")
    assert export.document["locale"] == locale


async def test_the_body_wins_over_the_path_and_the_path_over_the_browser(
    multilingual_client: NativeClient,
) -> None:
    by_path = await multilingual_client.post("/fi/api/sessions", {}, accept_language="pt-BR")
    by_body = await multilingual_client.post("/fi/api/sessions", {"locale": "pt-BR"})

    assert welcome(by_path) == ("fi", "Tervetuloa")
    assert welcome(by_body) == ("pt-BR", "Bem-vindo")


async def test_every_route_exists_under_a_known_prefix(multilingual_client: NativeClient) -> None:
    session_id = (await multilingual_client.post("/fi/api/chat", {"message": "Moi"})).session_id

    history = await multilingual_client.get(f"/FI/api/chat?sessionId={session_id}")
    stream = await multilingual_client.get(f"/pt-br/api/chat/{session_id}/stream")
    forgotten = await multilingual_client.delete(f"/en/api/chat/{session_id}")

    assert [history.status, stream.status, forgotten.status] == [200, 204, 204]


@pytest.mark.parametrize("prefix", ["/sv", "/api", "/fi/en", "//", "/%66%69x"])
async def test_an_unknown_prefix_is_404(multilingual_client: NativeClient, prefix: str) -> None:
    answer = await multilingual_client.post(f"{prefix}/api/chat", {"message": "Hej"})

    assert (answer.status, answer.code) == (404, "not_found")
    assert "set-cookie" not in answer.headers


async def test_a_later_message_keeps_the_language_unless_it_names_another(
    multilingual_client: NativeClient,
) -> None:
    session_id = (await multilingual_client.send("Moi", locale="fi")).session_id
    where = f"/api/chat/{session_id}/export"

    await multilingual_client.post(
        "/api/chat", {"message": "Hi", "sessionId": session_id}, accept_language="en"
    )
    kept = (await multilingual_client.get(where)).document["locale"]
    await multilingual_client.send("Olá", session_id, locale="pt-BR")
    changed = (await multilingual_client.get(where)).document["locale"]

    assert (kept, changed) == ("fi", "pt-BR")


async def test_the_ai_sdk_body_can_set_the_language_too(multilingual_client: NativeClient) -> None:
    message = {"id": "u1", "role": "user", "parts": [{"type": "text", "text": "Hi"}]}
    await multilingual_client.post(
        "/api/chat", {"id": "mine", "messages": [message], "locale": "fi"}
    )

    assert (await multilingual_client.get("/api/chat/mine/export")).document["locale"] == "fi"
