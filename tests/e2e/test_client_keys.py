"""Client keys as bearer tokens."""

import pytest

from entrypoints.settings import Settings
from tests.support.fake_model import EchoModel
from tests.support.native_client import NativeClient, cookie_of
from tests.support.service import NEW, OLD, running_service


async def new_bearer(client: NativeClient) -> str:
    answer = await NativeClient(client.url).post("/api/client-key", {})
    assert answer.status == 201, answer.body
    return f"Bearer {answer.document['clientKey']}"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (None, {}),
        (b"", {}),
        (b"", {"content_type": "application/json"}),
        (b"", {"content_type": "application/x-www-form-urlencoded"}),
        (b"{}", {"content_type": "application/json; charset=utf-8"}),
    ],
)
async def test_creating_a_client_key_takes_no_body_and_no_content_type(
    echo_client: NativeClient, body: bytes | None, headers: dict[str, str]
) -> None:
    answer = await echo_client.call("POST", "/api/client-key", body, **headers)

    assert (answer.status, answer.document["clientKey"][:3]) == (201, "ck_")


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        (b"{}", {}, "unsupported_media_type"),
        (b"a=b", {"content_type": "text/plain"}, "unsupported_media_type"),
        (b'{"a": 1}', {"content_type": "application/json"}, "body_invalid"),
        (b"x" * 131_073, {}, "body_too_large"),
    ],
)
async def test_a_body_for_a_new_client_key_is_refused_unless_it_is_empty(
    echo_client: NativeClient, body: bytes, headers: dict[str, str], code: str
) -> None:
    answer = await echo_client.call("POST", "/api/client-key", body, **headers)

    assert answer.code == code


async def test_a_client_key_as_bearer_token_gets_no_cookie(echo_client: NativeClient) -> None:
    program = NativeClient(echo_client.url, authorization=await new_bearer(echo_client))

    answers = [await program.post("/api/sessions", {}), await program.send("One")]
    session_id = answers[1].session_id

    assert await program.transcript(session_id) == [("user", "One"), ("assistant", "One ")]
    assert not any("set-cookie" in answer.headers for answer in answers)
    assert not any("privity-client-key" in answer.headers for answer in answers)


async def test_cookie_and_bearer_token_are_the_same_key(echo_client: NativeClient) -> None:
    answer = await echo_client.send("Mine")

    program = NativeClient(echo_client.url, authorization=f"bearer {cookie_of(answer)[1]}")

    assert (await program.history(answer.session_id)).status == 200


async def test_a_bearer_token_hides_the_cookie(echo_client: NativeClient) -> None:
    session_id = (await echo_client.send("Mine")).session_id

    path = f"/api/chat?sessionId={session_id}"
    other = await echo_client.get(path, authorization=await new_bearer(echo_client))
    forged = await echo_client.get(path, authorization="Bearer x")

    assert [other.status, forged.status] == [404, 401]


@pytest.mark.parametrize(
    "forged",
    [
        "",
        "Bearer",
        "Bearer ck_",
        "Bearer sk-1234567890",
        "Bearer ck_" + "A" * 64,
        "Bearer ck_" + "\xe4" * 64,
        "Bearer " + "x" * 30_000,
        "Basic Y2tfOng=",
    ],
    ids=lambda text: text[:12],
)
async def test_a_forged_bearer_token_is_rejected(echo_client: NativeClient, forged: str) -> None:
    session_id = (await echo_client.send("Mine")).session_id
    before = (await echo_client.history(session_id)).body

    calls = (
        echo_client.post("/api/chat", {"message": "Hi"}, authorization=forged),
        echo_client.delete(f"/api/chat/{session_id}", authorization=forged),
        echo_client.get(f"/api/chat/{session_id}/stream", authorization=forged),
    )
    answers = [await call for call in calls]

    rejections = {(a.status, a.code, a.headers["www-authenticate"]) for a in answers}
    assert rejections == {(401, "client_key_invalid", "Bearer")}
    assert not any("set-cookie" in answer.headers for answer in answers)
    assert (await echo_client.history(session_id)).body == before


async def test_a_bearer_token_changed_by_one_character_is_rejected(
    echo_client: NativeClient,
) -> None:
    bearer = await new_bearer(echo_client)
    other = "A" if bearer[-1] != "A" else "B"

    answer = await echo_client.post("/api/sessions", {}, authorization=bearer[:-1] + other)

    assert (answer.status, answer.code) == (401, "client_key_invalid")


async def test_a_key_under_an_older_master_key_is_reissued() -> None:
    async with running_service(Settings(keys=OLD), model=EchoModel()) as older:
        bearer = await new_bearer(NativeClient(older.url))
    async with running_service(Settings(keys=f"{NEW},{OLD}"), model=EchoModel()) as service:
        before = NativeClient(service.url, authorization=bearer)
        answer = await before.send("Hi")
        after = NativeClient(
            service.url, authorization=f"Bearer {answer.headers['privity-client-key']}"
        )
        again = await after.send("Again", answer.session_id)
        echo_client = NativeClient(service.url)
        echo_client.cookie = f"privity={bearer.removeprefix('Bearer ')}"
        cookie = cookie_of(await echo_client.send("Me too", answer.session_id))[1]

    assert "set-cookie" not in answer.headers
    assert again.session_id == answer.session_id
    assert "privity-client-key" not in again.headers
    assert cookie == answer.headers["privity-client-key"]


async def test_a_key_under_a_removed_master_key_is_rejected() -> None:
    async with running_service(Settings(keys=OLD), model=EchoModel()) as older:
        bearer = await new_bearer(NativeClient(older.url))
    async with running_service(Settings(keys=NEW), model=EchoModel()) as service:
        answer = await NativeClient(service.url, authorization=bearer).send("Hi")

    assert (answer.status, answer.code) == (401, "client_key_invalid")
