"""The cookie of a browser: when it is set, what it contains, when it is read."""

from collections.abc import AsyncIterator

import pytest

from entrypoints.settings import Settings
from tests.support.fake_model import EchoModel
from tests.support.http_client import JSON
from tests.support.native_client import NativeClient, cookie_of
from tests.support.service import HTTPS, running_service

LAX = "Path=/; Max-Age=86400; HttpOnly; SameSite=Lax"


@pytest.fixture
async def secure() -> AsyncIterator[NativeClient]:
    """A client that reaches the service by https."""
    async with running_service(Settings(public_url=HTTPS), model=EchoModel()) as service:
        yield NativeClient(service.url, origin=HTTPS)


@pytest.mark.parametrize("path", ["/api/chat", "/api/sessions"])
async def test_the_first_post_sets_a_cookie(echo_client: NativeClient, path: str) -> None:
    body = {"message": "Hi"} if path == "/api/chat" else {}

    name, key, attributes = cookie_of(await echo_client.post(path, body))

    assert (name, key[:3], attributes) == ("privity", "ck_", LAX)


async def test_a_reply_as_json_sets_the_cookie_too(echo_client: NativeClient) -> None:
    answer = await echo_client.post("/api/chat", {"message": "Hi"}, **JSON)

    assert cookie_of(answer)[0] == "privity"


async def test_every_turn_renews_the_same_cookie(echo_client: NativeClient) -> None:
    first = cookie_of(await echo_client.send("One"))

    second = cookie_of(await echo_client.send("Two"))

    assert second == first


async def test_https_sets_only_a_secure_host_cookie(secure: NativeClient) -> None:
    name, key, attributes = cookie_of(await secure.send("Hi"))

    assert (name, key[:3], attributes) == ("__Host-privity", "ck_", f"{LAX}; Secure")


async def test_https_ignores_a_plain_cookie(secure: NativeClient) -> None:
    answer = await secure.send("Mine")
    key = cookie_of(answer)[1]

    plain = NativeClient(secure.url, cookie=f"privity={key}")
    of_host = NativeClient(secure.url, cookie=f"__Host-privity={key}")

    assert (await plain.history(answer.session_id)).status == 404
    assert (await of_host.history(answer.session_id)).status == 200


async def test_http_ignores_a_host_cookie(echo_client: NativeClient) -> None:
    answer = await echo_client.send("Mine")
    reader = NativeClient(echo_client.url, cookie=f"__Host-privity={cookie_of(answer)[1]}")

    assert (await reader.history(answer.session_id)).status == 404


@pytest.mark.parametrize("others", ["a=1; {}; b=2", "a;{} ;b", 'a="{}"; {}', "{}; xprivity=1;"])
async def test_the_cookie_is_found_among_others(echo_client: NativeClient, others: str) -> None:
    answer = await echo_client.send("Mine")
    cookie = f"privity={cookie_of(answer)[1]}"
    reader = NativeClient(echo_client.url, cookie=others.replace("{}", cookie))

    assert (await reader.history(answer.session_id)).status == 200


async def test_reading_never_sets_a_cookie(echo_client: NativeClient) -> None:
    session_id = (await echo_client.send("Hi")).session_id
    paths = (
        *(f"/api/chat?sessionId={session_id}", f"/api/chat/{session_id}/export"),
        *(f"/api/chat/{session_id}/stream", "/openapi.json", "/health/live", "/health/ready"),
        *("/", "/page/main.js", "/page/words.en.json"),
    )

    answers = [
        await client.get(path)
        for path in paths
        for client in (echo_client, NativeClient(echo_client.url))
    ]

    assert {answer.status for answer in answers} == {200, 204, 404}
    assert not any("set-cookie" in answer.headers for answer in answers)


async def test_stopping_and_forgetting_set_no_cookie(echo_client: NativeClient) -> None:
    session_id = (await echo_client.send("Hi")).session_id

    answers = [
        await call
        for client in (echo_client, NativeClient(echo_client.url))
        for call in (
            client.post(f"/api/chat/{session_id}/stop", {}),
            client.delete(f"/api/chat/{session_id}"),
            client.post("/api/client-key", {}),
        )
    ]

    assert not any("set-cookie" in answer.headers for answer in answers)


async def test_deleting_the_client_key_leaves_nothing_readable(echo_client: NativeClient) -> None:
    session_id = (await echo_client.send("Mine")).session_id

    answer = await echo_client.delete("/api/client-key")

    assert answer.status == 204
    assert cookie_of(answer) == ("privity", "", LAX.replace("86400", "0"))
    assert (await echo_client.history(session_id)).status == 404


@pytest.mark.parametrize("value", ["", "ck_" + "A" * 64, "x" * 5_000, '"; Path=/evil', "\xff"])
async def test_a_forged_cookie_counts_as_none_and_is_replaced(
    echo_client: NativeClient, value: str
) -> None:
    echo_client.cookie = f"privity={value}"

    answer = await echo_client.send("Hi")

    assert answer.status == 200
    assert cookie_of(answer)[1] not in ("", value)
    assert len(await echo_client.transcript(answer.session_id)) == 2


async def test_a_cookie_of_an_earlier_process_begins_a_new_conversation(
    echo_client: NativeClient,
) -> None:
    async with running_service(model=EchoModel()) as older:
        before = NativeClient(older.url)
        session_id = (await before.send("Old")).session_id
    echo_client.cookie = before.cookie

    reply = await echo_client.send_for_document("New", session_id)

    assert reply["restarted"] is True
    assert echo_client.cookie != before.cookie
    assert await echo_client.transcript(reply["sessionId"]) == [
        ("user", "New"),
        ("assistant", "New "),
    ]
