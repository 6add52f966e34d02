"""The cookie of a browser: when it is given, what it says, when it is read."""

from collections.abc import AsyncIterator

import pytest

from entrypoints.settings import Settings
from tests.support.fake_model import Parrot
from tests.support.http_client import JSON
from tests.support.native_client import Person, cookie_of
from tests.support.service import HTTPS, served

LAX = "Path=/; Max-Age=86400; HttpOnly; SameSite=Lax"


@pytest.fixture
async def secure() -> AsyncIterator[Person]:
    """Somebody who reaches the service by https."""
    async with served(Settings(public_url=HTTPS), model=Parrot()) as service:
        yield Person(service.url, origin=HTTPS)


@pytest.mark.parametrize("path", ["/api/chat", "/api/sessions"])
async def test_a_first_post_gives_a_cookie(visitor: Person, path: str) -> None:
    body = {"message": "Hi"} if path == "/api/chat" else {}

    name, key, attributes = cookie_of(await visitor.post(path, body))

    assert (name, key[:3], attributes) == ("privity", "ck_", LAX)


async def test_a_reply_as_json_gives_the_cookie_too(visitor: Person) -> None:
    answer = await visitor.post("/api/chat", {"message": "Hi"}, **JSON)

    assert cookie_of(answer)[0] == "privity"


async def test_every_turn_renews_the_stay_of_the_same_cookie(visitor: Person) -> None:
    first = cookie_of(await visitor.say("One"))

    second = cookie_of(await visitor.say("Two"))

    assert second == first


async def test_by_https_only_a_secure_cookie_of_the_host_is_given(secure: Person) -> None:
    name, key, attributes = cookie_of(await secure.say("Hi"))

    assert (name, key[:3], attributes) == ("__Host-privity", "ck_", f"{LAX}; Secure")


async def test_by_https_a_plain_cookie_is_not_read(secure: Person) -> None:
    answer = await secure.say("Mine")
    key = cookie_of(answer)[1]

    plain = Person(secure.url, cookie=f"privity={key}")
    of_host = Person(secure.url, cookie=f"__Host-privity={key}")

    assert (await plain.history(answer.session_id)).status == 404
    assert (await of_host.history(answer.session_id)).status == 200


async def test_by_http_a_cookie_of_the_host_is_not_read(visitor: Person) -> None:
    answer = await visitor.say("Mine")
    reader = Person(visitor.url, cookie=f"__Host-privity={cookie_of(answer)[1]}")

    assert (await reader.history(answer.session_id)).status == 404


async def test_the_front_page_gives_a_cookie_and_keeps_one(visitor: Person) -> None:
    first = cookie_of(await visitor.get("/"))
    second = cookie_of(await visitor.get("/"))

    assert first == second
    assert first[2] == LAX


async def test_reading_never_gives_a_cookie(visitor: Person) -> None:
    session_id = (await visitor.say("Hi")).session_id
    paths = (
        *(f"/api/chat?sessionId={session_id}", f"/api/chat/{session_id}/export"),
        *(f"/api/chat/{session_id}/stream", "/openapi.json", "/health/live", "/health/ready"),
    )

    answers = [await who.get(path) for path in paths for who in (visitor, Person(visitor.url))]

    assert {answer.status for answer in answers} == {200, 204, 404}
    assert not any("set-cookie" in answer.headers for answer in answers)


async def test_stopping_and_forgetting_give_no_cookie(visitor: Person) -> None:
    session_id = (await visitor.say("Hi")).session_id

    answers = [
        await call
        for who in (visitor, Person(visitor.url))
        for call in (
            who.post(f"/api/chat/{session_id}/stop", {}),
            who.delete(f"/api/chat/{session_id}"),
            who.post("/api/client-key", {}),
        )
    ]

    assert not any("set-cookie" in answer.headers for answer in answers)


async def test_giving_the_key_back_leaves_nothing_to_be_read(visitor: Person) -> None:
    session_id = (await visitor.say("Mine")).session_id

    answer = await visitor.delete("/api/client-key")

    assert answer.status == 204
    assert cookie_of(answer) == ("privity", "", LAX.replace("86400", "0"))
    assert (await visitor.history(session_id)).status == 404


@pytest.mark.parametrize("value", ["", "ck_" + "A" * 64, "x" * 5_000, '"; Path=/evil', "\xff"])
async def test_a_forged_cookie_counts_as_none_and_is_replaced(visitor: Person, value: str) -> None:
    visitor.cookie = f"privity={value}"

    answer = await visitor.say("Hi")

    assert answer.status == 200
    assert cookie_of(answer)[1] not in ("", value)
    assert len(await visitor.said(answer.session_id)) == 2


async def test_a_cookie_of_an_older_process_goes_on_with_a_new_conversation(
    visitor: Person,
) -> None:
    async with served(model=Parrot()) as older:
        before = Person(older.url)
        session_id = (await before.say("Old")).session_id
    visitor.cookie = before.cookie

    reply = await visitor.ask("New", session_id)

    assert reply["restarted"] is True
    assert visitor.cookie != before.cookie
    assert await visitor.said(reply["sessionId"]) == [("user", "New"), ("assistant", "New ")]
