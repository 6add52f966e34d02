"""Who may call ``/v1``: holders of a client key, as a bearer and no other way."""

import hashlib

import pytest

from entrypoints.settings import Settings
from tests.support.fake_model import EchoModel
from tests.support.native_client import NativeClient
from tests.support.service import NEW, OLD, running_service
from tests.support.v1_client import V1Client, error_of

BODY = {"input": "Hello?"}
PATHS = [
    "/v1/models",
    "/v1/conversations/conv_" + "0" * 32,
    "/v1/responses/resp_" + "0" * 40,
]


def digest(program: V1Client) -> str:
    """As docs/openai_clients.md has an operator make it."""
    client_key = program.headers["authorization"].removeprefix("Bearer ")
    return hashlib.sha256(client_key[:45].encode()).hexdigest()


@pytest.mark.parametrize("path", PATHS)
async def test_a_cookie_is_ignored(echo_client: NativeClient, path: str) -> None:
    await echo_client.get_key()
    refused = await echo_client.get(path)

    assert echo_client.cookie is not None
    assert (refused.status, error_of(refused)["code"]) == (401, "client_key_invalid")
    assert "set-cookie" not in refused.headers


async def test_a_caller_without_a_key_does_not_get_one(echo_service: str) -> None:
    refused = await NativeClient(echo_service).post("/v1/responses", BODY)

    assert refused.status == 401
    assert "/api/client-key" in error_of(refused)["message"]
    assert "set-cookie" not in refused.headers


async def test_both_protocols_show_the_same_conversation(echo_service: str) -> None:
    program = await V1Client.new(echo_service)
    first = (await program.ask("One")).document
    session_id = (await program.client.send("Two")).session_id
    hexadecimal = session_id.replace("-", "")
    items = await program.get(f"/v1/conversations/conv_{hexadecimal}/items?order=asc")
    response = await program.response(f"resp_{hexadecimal}00000001")

    assert first["output"][0]["content"][0]["text"] == "One "
    assert [item["content"][0]["text"] for item in items.document["data"]] == ["Two", "Two "]
    assert response["output"][0]["content"][0]["text"] == "Two "


async def test_only_keys_on_the_operators_list_are_accepted() -> None:
    async with running_service(Settings(keys=OLD), model=EchoModel()) as anyone:
        listed, other = await V1Client.new(anyone.url), await V1Client.new(anyone.url)
    settings = Settings(keys=OLD, api_key_digests=(digest(listed),))
    async with running_service(settings, model=EchoModel()) as service:
        answers = [
            await V1Client(service.url, authorization=who.headers["authorization"]).ask("Hi")
            for who in (listed, other)
        ]
        native = await NativeClient(service.url, authorization=other.headers["authorization"]).send(
            "Hi"
        )

    assert [answer.status for answer in answers] == [200, 403]
    assert error_of(answers[1])["code"] == "client_key_not_allowed"
    assert native.status == 200


async def test_a_reissued_key_is_returned_and_stays_on_the_list() -> None:
    async with running_service(Settings(keys=OLD), model=EchoModel()) as older:
        before = await V1Client.new(older.url)
    settings = Settings(keys=f"{NEW},{OLD}", api_key_digests=(digest(before),))
    async with running_service(settings, model=EchoModel()) as service:
        old = V1Client(service.url, authorization=before.headers["authorization"])
        answer = await old.ask("Hi")
        renewed = answer.headers["privity-client-key"]
        new = V1Client(service.url, authorization=f"Bearer {renewed}")
        again = await new.ask("Again", previous_response_id=answer.document["id"])

    assert f"Bearer {renewed}" != before.headers["authorization"]
    assert again.document["output"][0]["content"][0]["text"] == "Hi / Again "
    assert "privity-client-key" not in again.headers


async def test_new_conversations_and_stored_bytes_are_limited() -> None:
    async with running_service(Settings(new_per_hour=2), model=EchoModel()) as service:
        program = await V1Client.new(service.url)
        answers = [await program.ask("Hi"), await program.ask("Hi")]
        refused = await program.post("/v1/conversations", {})
        ephemeral = await program.ask("Hi", store=False)

    assert [answer.status for answer in answers] == [200, 429]
    assert (refused.status, error_of(refused)["code"]) == (429, "rate_limit_exceeded")
    assert int(refused.headers["retry-after"]) > 0
    assert ephemeral.status == 200


async def test_the_package_may_retry_only_if_it_waits_long_enough() -> None:
    settings = Settings(messages_per_minute_per_key=1)
    async with running_service(settings, model=EchoModel()) as service:
        program = await V1Client.new(service.url)
        soon = [await program.ask("Hi", store=False) for _ in range(2)][1]
    async with running_service(Settings(new_per_hour=1), model=EchoModel()) as service:
        program = await V1Client.new(service.url)
        late = await program.ask("Hi")

    assert (soon.status, late.status) == (429, 429)
    assert "x-should-retry" not in soon.headers
    assert late.headers["x-should-retry"] == "false"
