"""The assistant's language is taken from the body, the path or the browser, in this order."""

from collections.abc import Iterator

import pytest
from attrs import evolve

from tests.support.fake_model import EchoModel
from tests.support.http_client import Answer
from tests.support.native_client import NativeClient
from tests.support.service import GENEROUS, running_service_in_thread

PROFILE = """
system_prompt = "Be kind."

[welcome]
en = "Welcome"
fi = "Tervetuloa"
pt-BR = "Bem-vindo"
"""


@pytest.fixture(scope="module")
def polyglots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service whose assistant has welcomes in English, Finnish and Portuguese."""
    file = tmp_path_factory.mktemp("profile") / "assistant.toml"
    file.write_text(PROFILE)
    with running_service_in_thread(evolve(GENEROUS, assistant_file=file), EchoModel()) as url:
        yield url


@pytest.fixture
def speaker(polyglots: str) -> NativeClient:
    """A client of that service."""
    return NativeClient(polyglots)


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
    speaker: NativeClient, locale: str | None, expected: tuple[str, str]
) -> None:
    answer = await speaker.post("/api/sessions", {"locale": locale})

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
    speaker: NativeClient, accepted: str, locale: str
) -> None:
    answer = await speaker.post("/api/chat", {"message": "Hi"}, accept_language=accepted)

    export = await speaker.get(f"/api/chat/{answer.session_id}/export")
    assert export.document["locale"] == locale


async def test_the_body_wins_over_the_path_and_the_path_over_the_browser(
    speaker: NativeClient,
) -> None:
    by_path = await speaker.post("/fi/api/sessions", {}, accept_language="pt-BR")
    by_body = await speaker.post("/fi/api/sessions", {"locale": "pt-BR"})

    assert welcome(by_path) == ("fi", "Tervetuloa")
    assert welcome(by_body) == ("pt-BR", "Bem-vindo")


async def test_every_route_exists_under_a_known_prefix(speaker: NativeClient) -> None:
    session_id = (await speaker.post("/fi/api/chat", {"message": "Moi"})).session_id

    history = await speaker.get(f"/FI/api/chat?sessionId={session_id}")
    stream = await speaker.get(f"/pt-br/api/chat/{session_id}/stream")
    forgotten = await speaker.delete(f"/en/api/chat/{session_id}")

    assert [history.status, stream.status, forgotten.status] == [200, 204, 204]


@pytest.mark.parametrize("prefix", ["/sv", "/api", "/fi/en", "//", "/%66%69x"])
async def test_an_unknown_prefix_is_404(speaker: NativeClient, prefix: str) -> None:
    answer = await speaker.post(f"{prefix}/api/chat", {"message": "Hej"})

    assert (answer.status, answer.code) == (404, "not_found")
    assert "set-cookie" not in answer.headers


async def test_a_later_message_keeps_the_language_unless_it_names_another(
    speaker: NativeClient,
) -> None:
    session_id = (await speaker.send("Moi", locale="fi")).session_id
    where = f"/api/chat/{session_id}/export"

    await speaker.post(
        "/api/chat", {"message": "Hi", "sessionId": session_id}, accept_language="en"
    )
    kept = (await speaker.get(where)).document["locale"]
    await speaker.send("Olá", session_id, locale="pt-BR")
    changed = (await speaker.get(where)).document["locale"]

    assert (kept, changed) == ("fi", "pt-BR")


async def test_the_ai_sdk_body_can_set_the_language_too(speaker: NativeClient) -> None:
    message = {"id": "u1", "role": "user", "parts": [{"type": "text", "text": "Hi"}]}
    await speaker.post("/api/chat", {"id": "mine", "messages": [message], "locale": "fi"})

    assert (await speaker.get("/api/chat/mine/export")).document["locale"] == "fi"
