"""Which sites may make a browser call."""

from collections.abc import Iterator

import pytest

from entrypoints.settings import Settings
from tests.support.fake_model import Parrot
from tests.support.http_client import Answer
from tests.support.native_client import Person
from tests.support.service import HTTPS, served, served_apart

EMBEDDER = "https://blog.example"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def embeddable() -> Iterator[str]:
    """A service that another site may embed."""
    settings = Settings(public_url=HTTPS, embedding_origins=(EMBEDDER,))
    with served_apart(settings, Parrot()) as url:
        yield url


@pytest.fixture
def embedded(embeddable: str) -> Person:
    """Somebody who meets that service on the other site."""
    return Person(embeddable)


async def unsafe_calls(person: Person, session_id: str, **headers: str) -> list[Answer]:
    """All that changes something, as another site may try it."""
    return [
        await person.post("/api/chat", {"message": "Hi", "sessionId": session_id}, **headers),
        await person.call("POST", "/api/chat", b"message=Hi", content_type=FORM, **headers),
        await person.post("/api/sessions", {}, **headers),
        await person.post("/api/client-key", {}, **headers),
        await person.delete("/api/client-key", **headers),
        await person.post(f"/api/chat/{session_id}/stop", {}, **headers),
        await person.post(f"/api/chat/{session_id}/regenerate", {}, **headers),
        await person.delete(f"/api/chat/{session_id}", **headers),
        await person.delete(f"/api/chat?sessionId={session_id}", **headers),
    ]


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "anything"},
        {"sec_fetch_site": "cross-site", "origin": "https://evil.example"},
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "http://localhost"},
        {"origin": "null"},
        {"origin": "null", "host": ""},
    ],
    ids=str,
)
async def test_another_site_touches_nothing_and_gets_nothing(
    visitor: Person, headers: dict[str, str]
) -> None:
    session_id = (await visitor.say("Mine")).session_id
    before = (await visitor.history(session_id)).body

    owner = await unsafe_calls(visitor, session_id, **headers)
    stranger = await unsafe_calls(Person(visitor.url), session_id, **headers)

    told = {(answer.status, answer.code) for answer in owner + stranger}
    assert told == {(403, "cross_site_request")}
    assert not any("set-cookie" in answer.headers for answer in owner + stranger)
    assert not any("access-control-allow-origin" in answer.headers for answer in owner)
    assert (await visitor.history(session_id)).body == before


async def test_our_own_pages_and_programs_are_let_in(visitor: Person) -> None:
    evil = "https://evil.example"
    named: list[dict[str, str]] = [
        {},
        {"sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "none"},
        {"origin": visitor.url},
        {"origin": visitor.url, "sec_fetch_site": "same-site"},
        {"origin": visitor.url.upper()},
        {"origin": evil, "sec_fetch_site": "same-origin"},
    ]

    answers = [await visitor.post("/api/chat", {"message": "Hi"}, **one) for one in named]

    assert {answer.status for answer in answers} == {200}


async def test_a_bearer_comes_from_no_browser_and_so_from_anywhere(visitor: Person) -> None:
    key = (await visitor.post("/api/client-key", {})).document["clientKey"]
    program = Person(visitor.url, authorization=f"Bearer {key}")

    answer = await program.post("/api/chat", {"message": "Hi"}, origin="https://evil.example")

    assert answer.status == 200


async def test_a_password_that_browsers_add_by_themselves_is_no_bearer(visitor: Person) -> None:
    session_id = (await visitor.say("Mine")).session_id
    added = {"authorization": "Basic Y2tfOng=", "origin": "https://evil.example"}

    answers = await unsafe_calls(visitor, session_id, **added)

    assert {answer.status for answer in answers} <= {401, 403}
    assert not any("set-cookie" in answer.headers for answer in answers)


async def test_with_a_public_address_only_that_is_ours() -> None:
    async with served(Settings(public_url=HTTPS), model=Parrot()) as service:
        person = Person(service.url)
        answers = [
            await person.post("/api/chat", {"message": "Hi"}, origin=origin)
            for origin in (HTTPS, service.url, HTTPS.replace("https", "http"), f"{HTTPS}.evil")
        ]

    assert [answer.status for answer in answers] == [200, 403, 403, 403]


async def test_a_site_on_the_list_may_embed(embedded: Person) -> None:
    body = {"message": "Hi"}

    answer = await embedded.post("/api/chat", body, origin=EMBEDDER, sec_fetch_site="cross-site")

    allowed = answer.headers["access-control-allow-origin"]
    exposed = answer.headers["access-control-expose-headers"].lower()
    assert (answer.status, allowed) == (200, EMBEDDER)
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "origin" in answer.headers["vary"].lower()
    assert "x-session-id" in exposed
    assert "privity-client-key" in exposed
    assert answer.headers["set-cookie"].endswith("; HttpOnly; SameSite=None; Partitioned; Secure")


async def test_a_site_on_the_list_may_read_problems_too(embedded: Person) -> None:
    answer = await embedded.post("/api/chat", {}, origin=EMBEDDER)

    assert (answer.status, answer.code) == (400, "body_invalid")
    assert answer.headers["access-control-allow-origin"] == EMBEDDER


@pytest.mark.parametrize("origin", ["https://evil.example", f"{EMBEDDER}.evil", "null"])
async def test_a_site_off_the_list_may_not(embedded: Person, origin: str) -> None:
    answer = await embedded.post("/api/chat", {"message": "Hi"}, origin=origin)

    assert (answer.status, answer.code) == (403, "cross_site_request")
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(("origin", "allowed"), [(EMBEDDER, EMBEDDER), ("https://evil", None)])
async def test_a_browser_that_asks_first_is_told(
    embedded: Person, origin: str, allowed: str | None
) -> None:
    wanted = {
        "access_control_request_method": "POST",
        "access_control_request_headers": "content-type,idempotency-key",
    }

    answer = await embedded.call("OPTIONS", "/api/chat", origin=origin, **wanted)

    assert answer.headers.get("access-control-allow-origin") == allowed
    assert (answer.status < 300) is (allowed is not None)
    assert "set-cookie" not in answer.headers


async def test_without_a_list_nobody_is_told(visitor: Person) -> None:
    wanted = {"access_control_request_method": "POST"}

    answer = await visitor.call("OPTIONS", "/api/chat", origin=EMBEDDER, **wanted)

    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert "access-control-allow-origin" not in answer.headers
