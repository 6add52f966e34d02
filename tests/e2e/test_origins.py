"""Which sites may call the service from a browser."""

from collections.abc import Iterator

import pytest

from entrypoints.settings import Settings
from tests.support.fake_model import EchoModel
from tests.support.http_client import Answer
from tests.support.native_client import NativeClient
from tests.support.service import HTTPS, running_service, running_service_in_thread

EMBEDDER = "https://blog.example"
LOCAL_PAGE = "http://localhost:3000"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def embeddable() -> Iterator[str]:
    """A service that another site may embed."""
    settings = Settings(public_url=HTTPS, embedding_origins=(EMBEDDER,))
    with running_service_in_thread(settings, EchoModel()) as url:
        yield url


@pytest.fixture
def embedded(embeddable: str) -> NativeClient:
    """A browser on a page of the other site."""
    return NativeClient(embeddable)


@pytest.fixture(scope="module")
def local_url() -> Iterator[str]:
    """A service that a page of another port of this machine may embed, without https."""
    settings = Settings(embedding_origins=(LOCAL_PAGE,))
    with running_service_in_thread(settings, EchoModel()) as url:
        yield url.replace("127.0.0.1", "localhost")


@pytest.fixture
def local(local_url: str) -> NativeClient:
    return NativeClient(local_url)


async def unsafe_calls(client: NativeClient, session_id: str, **headers: str) -> list[Answer]:
    """Every state-changing request, as another site could try it."""
    return [
        await client.post("/api/chat", {"message": "Hi", "sessionId": session_id}, **headers),
        await client.call("POST", "/api/chat", b"message=Hi", content_type=FORM, **headers),
        await client.post("/api/sessions", {}, **headers),
        await client.post("/api/client-key", {}, **headers),
        await client.delete("/api/client-key", **headers),
        await client.post(f"/api/chat/{session_id}/stop", {}, **headers),
        await client.post(f"/api/chat/{session_id}/regenerate", {}, **headers),
        await client.patch(f"/api/chat/{session_id}", {"metadata": {"a": "b"}}, **headers),
        await client.delete(f"/api/chat/{session_id}", **headers),
        await client.delete(f"/api/chat?sessionId={session_id}", **headers),
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
    ],
    ids=str,
)
async def test_a_cross_site_request_changes_nothing_and_gets_nothing(
    echo_client: NativeClient, headers: dict[str, str]
) -> None:
    session_id = (await echo_client.send("Mine")).session_id
    before = (await echo_client.history(session_id)).body

    owner = await unsafe_calls(echo_client, session_id, **headers)
    stranger = await unsafe_calls(NativeClient(echo_client.url), session_id, **headers)

    rejections = {(answer.status, answer.code) for answer in owner + stranger}
    assert rejections == {(403, "cross_site_request")}
    assert not any("set-cookie" in answer.headers for answer in owner + stranger)
    assert not any("access-control-allow-origin" in answer.headers for answer in owner)
    assert (await echo_client.history(session_id)).body == before


async def test_own_pages_and_programs_are_accepted(echo_client: NativeClient) -> None:
    evil = "https://evil.example"
    named: list[dict[str, str]] = [
        {},
        {"sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "none"},
        {"origin": echo_client.url},
        {"origin": echo_client.url, "sec_fetch_site": "same-site"},
        {"origin": echo_client.url.upper()},
        {"origin": evil, "sec_fetch_site": "same-origin"},
    ]

    answers = [await echo_client.post("/api/chat", {"message": "Hi"}, **one) for one in named]

    assert {answer.status for answer in answers} == {200}


async def test_a_bearer_token_is_accepted_from_any_origin(
    echo_client: NativeClient,
) -> None:
    key = (await echo_client.post("/api/client-key", {})).document["clientKey"]
    program = NativeClient(echo_client.url, authorization=f"Bearer {key}")

    answer = await program.post("/api/chat", {"message": "Hi"}, origin="https://evil.example")

    assert answer.status == 200


async def test_basic_authentication_does_not_skip_the_origin_check(
    echo_client: NativeClient,
) -> None:
    session_id = (await echo_client.send("Mine")).session_id
    added = {"authorization": "Basic Y2tfOng=", "origin": "https://evil.example"}

    answers = await unsafe_calls(echo_client, session_id, **added)

    assert {answer.status for answer in answers} <= {401, 403}
    assert not any("set-cookie" in answer.headers for answer in answers)


async def test_with_a_public_url_only_that_origin_is_accepted() -> None:
    async with running_service(Settings(public_url=HTTPS), model=EchoModel()) as service:
        client = NativeClient(service.url)
        answers = [
            await client.post("/api/chat", {"message": "Hi"}, origin=origin)
            for origin in (HTTPS, service.url, HTTPS.replace("https", "http"), f"{HTTPS}.evil")
        ]

    assert [answer.status for answer in answers] == [200, 403, 403, 403]


async def test_a_listed_site_may_embed(embedded: NativeClient) -> None:
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


async def test_a_listed_site_may_read_problems_too(embedded: NativeClient) -> None:
    answer = await embedded.post("/api/chat", {}, origin=EMBEDDER)

    assert (answer.status, answer.code) == (400, "body_invalid")
    assert answer.headers["access-control-allow-origin"] == EMBEDDER


@pytest.mark.parametrize("origin", ["https://evil.example", f"{EMBEDDER}.evil", "null"])
async def test_an_unlisted_site_may_not_embed(embedded: NativeClient, origin: str) -> None:
    answer = await embedded.post("/api/chat", {"message": "Hi"}, origin=origin)

    assert (answer.status, answer.code) == (403, "cross_site_request")
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
@pytest.mark.parametrize(("origin", "allowed"), [(EMBEDDER, EMBEDDER), ("https://evil", None)])
async def test_a_preflight_from_a_listed_site_is_answered(
    embedded: NativeClient, origin: str, allowed: str | None, method: str
) -> None:
    preflight = {
        "access_control_request_method": method,
        "access_control_request_headers": "content-type,idempotency-key",
    }

    answer = await embedded.call("OPTIONS", "/api/chat", origin=origin, **preflight)

    assert answer.headers.get("access-control-allow-origin") == allowed
    assert (answer.status < 300) is (allowed is not None)
    assert "set-cookie" not in answer.headers


async def test_a_page_of_another_port_of_this_machine_may_embed(local: NativeClient) -> None:
    answer = await local.post(
        "/api/chat", {"message": "Hi"}, origin=LOCAL_PAGE, sec_fetch_site="same-site"
    )

    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == LOCAL_PAGE
    assert answer.headers["set-cookie"].endswith("; HttpOnly; SameSite=Lax")


async def test_a_page_with_another_name_of_this_machine_is_refused_with_the_reason(
    local: NativeClient,
) -> None:
    host = local.url.removeprefix("http://").replace("localhost", "127.0.0.1")
    answers = [
        await local.post("/api/chat", {"message": "Hi"}, origin=LOCAL_PAGE, host=host),
        await local.post("/api/chat", {"message": "Hi"}, origin=LOCAL_PAGE, host="[1.2.3.4]:1"),
    ]

    assert {(answer.status, answer.code) for answer in answers} == {(403, "cross_site_request")}
    assert "localhost and 127.0.0.1 are different sites" in answers[0].document["detail"]
    assert answers[0].headers["access-control-allow-origin"] == LOCAL_PAGE


async def test_on_this_machine_own_pages_are_accepted_and_others_are_not(
    local: NativeClient,
) -> None:
    body = {"message": "Hi"}
    answers = [
        await local.post("/api/chat", body, origin=origin)
        for origin in (local.url, "http://localhost:3001", "https://localhost:3000")
    ]

    assert [answer.status for answer in answers] == [200, 403, 403]


async def test_without_a_list_no_preflight_is_allowed(echo_client: NativeClient) -> None:
    preflight = {"access_control_request_method": "POST"}

    answer = await echo_client.call("OPTIONS", "/api/chat", origin=EMBEDDER, **preflight)

    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert "access-control-allow-origin" not in answer.headers
