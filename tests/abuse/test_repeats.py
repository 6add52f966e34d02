"""A request that is repeated after another tab spoke is neither stored nor billed twice."""

from collections.abc import Awaitable, Callable

import pytest

from tests.support.fleet import Fleet, client_of
from tests.support.http_client import Answer
from tests.support.instructed_model import instruction
from tests.support.native_client import NativeClient, message_body
from tests.support.v1_client import V1Client, error_of

KEYED = {"idempotency_key": "a-key-of-mine"}
Repeated = Callable[[], Awaitable[Answer]]


def user_message(text: str, chat_id: str) -> dict[str, object]:
    parts = [{"type": "text", "text": text}]
    message = {"id": "m-second", "role": "user", "parts": parts}
    return {"id": chat_id, "messages": [message], "trigger": "submit-message"}


async def native(client: NativeClient, session_id: str) -> Repeated:
    body = message_body(instruction("repeated", 1), session_id)
    return lambda: client.post("/api/chat", body, **KEYED)


async def first(client: NativeClient, _: str) -> Repeated:
    body = message_body(instruction("repeated", 1))
    return lambda: client.post("/api/chat", body, **KEYED)


async def ai_sdk(client: NativeClient, session_id: str) -> Repeated:
    body = user_message(instruction("repeated", 1), session_id)
    return lambda: client.post("/api/chat", body, **KEYED)


async def regeneration(client: NativeClient, session_id: str) -> Repeated:
    await client.send(instruction("repeated", 1), session_id)
    where = f"/api/chat/{session_id}/regenerate"
    return lambda: client.post(where, {}, **KEYED)


FAMILIES = {"native": native, "first": first, "ai sdk": ai_sdk, "regeneration": regeneration}


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_request_repeated_after_another_tab_spoke_is_answered_once(
    fleet: Fleet, family: str
) -> None:
    process, other = await fleet.start(), await fleet.start()
    client = client_of(process)
    await client.get_key()
    opened = await client.send(instruction("opened", 1))
    repeated = await FAMILIES[family](client, opened.session_id)
    session_id = (await repeated()).headers["x-session-id"]
    await client_of(other, client).send(instruction("other", 1), session_id)
    before, billed = await client.transcript(session_id), fleet.model.requests.total()

    again = await repeated()

    assert (again.status, again.code) == (422, "request_already_answered")
    assert await client.transcript(session_id) == before
    assert fleet.model.requests.total() == billed


@pytest.mark.parametrize("names", ["conversation", "previous_response_id"])
async def test_a_response_requested_again_after_another_turn_is_answered_once(
    fleet: Fleet, names: str
) -> None:
    program = await V1Client.new((await fleet.start()).url)
    opened = (await program.ask(instruction("opened", 1))).document
    conversation = opened["id"].replace("resp_", "conv_")[:-8]
    name = conversation if names == "conversation" else opened["id"]
    body = {"input": instruction("repeated", 1), names: name}
    await program.post("/v1/responses", body, **KEYED)
    await program.ask(instruction("other", 1), conversation=conversation)
    items = await program.get(f"/v1/conversations/{conversation}/items")

    again = await program.post("/v1/responses", body, **KEYED)

    assert (again.status, error_of(again)["code"]) == (422, "request_already_answered")
    after = await program.get(f"/v1/conversations/{conversation}/items")
    assert after.document == items.document
    assert fleet.model.requests["repeated"] == 1
