"""``PRIVITY_FOREIGN_AUTHORIZATION=ignore``: headers of a proxy that hold no client key."""

from collections.abc import Iterator

import pytest

from entrypoints.settings import Settings
from tests.support.fake_model import EchoModel
from tests.support.native_client import NativeClient, cookie_of
from tests.support.service import running_service_in_thread

BASIC = "Basic c3RhZ2luZzpwYXNz"
FOREIGN = ["", BASIC, "Bearer", "Bearer eyJhbGciOiJub25lIn0.e30.", "Digest ck_x", "ck_x"]


@pytest.fixture(scope="module")
def tolerant() -> Iterator[str]:
    """A service that ignores foreign headers."""
    settings = Settings(limits=False, v1=True, ignores_foreign_authorization=True)
    with running_service_in_thread(settings, EchoModel()) as url:
        yield url


@pytest.mark.parametrize("foreign", FOREIGN)
async def test_with_a_foreign_header_the_cookie_counts(tolerant: str, foreign: str) -> None:
    client = NativeClient(tolerant, authorization=foreign)

    first = await client.send("One")
    second = await client.send("Two", first.session_id)

    assert cookie_of(first) == cookie_of(second)
    assert await client.transcript(first.session_id) == [
        *(("user", "One"), ("assistant", "One ")),
        *(("user", "Two"), ("assistant", "One / Two ")),
    ]


async def test_a_client_key_as_bearer_token_still_hides_the_cookie(tolerant: str) -> None:
    client = NativeClient(tolerant)
    session_id = (await client.send("Mine")).session_id
    key = (await client.post("/api/client-key", {})).document["clientKey"]

    path = f"/api/chat?sessionId={session_id}"
    other = await client.get(path, authorization=f"Bearer {key}")
    forged = await client.get(path, authorization="Bearer ck_" + "A" * 64)
    cut_off = await client.get(path, authorization=f"Bearer {key[:-1]}")

    assert [other.status, forged.status, cut_off.status] == [404, 401, 401]


@pytest.mark.parametrize("foreign", FOREIGN)
async def test_a_foreign_header_does_not_skip_the_origin_check(tolerant: str, foreign: str) -> None:
    client = NativeClient(tolerant)
    session_id = (await client.send("Mine")).session_id
    sent = {"authorization": foreign, "origin": "https://evil.example"}

    answers = [
        await client.post("/api/chat", {"message": "Hi", "sessionId": session_id}, **sent),
        await client.delete(f"/api/chat/{session_id}", **sent),
    ]

    assert {(answer.status, answer.code) for answer in answers} == {(403, "cross_site_request")}
    assert len(await client.transcript(session_id)) == 2


@pytest.mark.parametrize("foreign", [None, *FOREIGN])
async def test_v1_needs_a_client_key_and_reads_no_cookie(
    tolerant: str, foreign: str | None
) -> None:
    client = NativeClient(tolerant)
    await client.send("Mine")
    header = {} if foreign is None else {"authorization": foreign}

    answer = await client.get("/v1/models", **header)

    assert client.cookie is not None
    assert answer.status == 401
    assert answer.document["error"]["code"] == "client_key_invalid"
