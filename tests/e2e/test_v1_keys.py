"""Who may call ``/v1``: holders of a client key, as a bearer and no other way."""

import hashlib

import pytest

from entrypoints.settings import Settings
from tests.support.fake_model import Parrot
from tests.support.native_client import Person
from tests.support.service import NEW, OLD, served
from tests.support.v1_client import Program, error_of

BODY = {"input": "Hello?"}
PATHS = [
    "/v1/models",
    "/v1/conversations/conv_" + "0" * 32,
    "/v1/responses/resp_" + "0" * 40,
]


def digest(program: Program) -> str:
    """As docs/openai_clients.md has an operator make it."""
    client_key = program.headers["authorization"].removeprefix("Bearer ")
    return hashlib.sha256(client_key[:45].encode()).hexdigest()


@pytest.mark.parametrize("path", PATHS)
async def test_a_cookie_is_not_looked_at(visitor: Person, path: str) -> None:
    await visitor.get("/")
    refused = await visitor.get(path)

    assert visitor.cookie is not None
    assert (refused.status, error_of(refused)["code"]) == (401, "client_key_invalid")
    assert "set-cookie" not in refused.headers


async def test_a_stranger_gets_no_key_here(parrots: str) -> None:
    refused = await Person(parrots).post("/v1/responses", BODY)

    assert refused.status == 401
    assert "/api/client-key" in error_of(refused)["message"]
    assert "set-cookie" not in refused.headers


async def test_both_protocols_show_the_same_conversation(parrots: str) -> None:
    program = await Program.new(parrots)
    first = (await program.ask("One")).document
    session_id = (await program.person.say("Two")).session_id
    hexadecimal = session_id.replace("-", "")
    items = await program.get(f"/v1/conversations/conv_{hexadecimal}/items?order=asc")
    response = await program.response(f"resp_{hexadecimal}00000001")

    assert first["output"][0]["content"][0]["text"] == "One "
    assert [item["content"][0]["text"] for item in items.document["data"]] == ["Two", "Two "]
    assert response["output"][0]["content"][0]["text"] == "Two "


async def test_only_keys_on_the_operators_list_are_let_in() -> None:
    async with served(Settings(keys=OLD), model=Parrot()) as anyone:
        listed, other = await Program.new(anyone.url), await Program.new(anyone.url)
    settings = Settings(keys=OLD, api_key_digests=(digest(listed),))
    async with served(settings, model=Parrot()) as service:
        answers = [
            await Program(service.url, authorization=who.headers["authorization"]).ask("Hi")
            for who in (listed, other)
        ]
        native = await Person(service.url, authorization=other.headers["authorization"]).say("Hi")

    assert [answer.status for answer in answers] == [200, 403]
    assert error_of(answers[1])["code"] == "client_key_not_allowed"
    assert native.status == 200


async def test_a_key_that_is_signed_anew_is_handed_out_and_stays_on_the_list() -> None:
    async with served(Settings(keys=OLD), model=Parrot()) as older:
        before = await Program.new(older.url)
    settings = Settings(keys=f"{NEW},{OLD}", api_key_digests=(digest(before),))
    async with served(settings, model=Parrot()) as service:
        old = Program(service.url, authorization=before.headers["authorization"])
        answer = await old.ask("Hi")
        renewed = answer.headers["privity-client-key"]
        new = Program(service.url, authorization=f"Bearer {renewed}")
        again = await new.ask("Again", previous_response_id=answer.document["id"])

    assert f"Bearer {renewed}" != before.headers["authorization"]
    assert again.document["output"][0]["content"][0]["text"] == "Hi / Again "
    assert "privity-client-key" not in again.headers


async def test_new_conversations_and_what_is_stored_are_limited() -> None:
    async with served(Settings(new_per_hour=2), model=Parrot()) as service:
        program = await Program.new(service.url)
        answers = [await program.ask("Hi"), await program.ask("Hi")]
        refused = await program.post("/v1/conversations", {})
        unkept = await program.ask("Hi", store=False)

    assert [answer.status for answer in answers] == [200, 429]
    assert (refused.status, error_of(refused)["code"]) == (429, "too_many_requests")
    assert int(refused.headers["retry-after"]) > 0
    assert unkept.status == 200


async def test_a_limit_that_will_pass_may_be_waited_for_by_the_package() -> None:
    async with served(Settings(new_per_hour=1), model=Parrot()) as service:
        program = await Program.new(service.url)
        refused = await program.ask("Hi")

    assert refused.status == 429
    assert "x-should-retry" not in refused.headers
