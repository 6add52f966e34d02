"""What ``/v1`` stores, for how long, and what it never stores."""

from datetime import datetime

import punq
import pytest

from entrypoints.settings import Settings
from ports.conversation_store import ConversationStateStore
from tests.e2e.test_unexpected_errors import SENTENCE, LeakyStore
from tests.support.fake_model import EchoModel
from tests.support.service import running_service
from tests.support.v1_client import V1Client, error_of

KEYED = {"idempotency_key": "a-key-of-mine"}


@pytest.fixture
async def program(echo_service: str) -> V1Client:
    return await V1Client.new(echo_service)


async def expires_at(program: V1Client, conversation: str) -> datetime:
    """The end of retention, read with the native protocol."""
    history = await program.client.history(session_of(conversation))
    return datetime.fromisoformat(history.document["expiresAt"])


def session_of(name: str) -> str:
    digits = name.partition("_")[2][:32]
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


async def test_added_items_restart_retention(program: V1Client) -> None:
    conversation = await program.conversation("One")
    before = await expires_at(program, conversation)
    items = {"items": [{"role": "user", "content": "Two"}]}
    await program.post(f"/v1/conversations/{conversation}/items", items)

    assert await expires_at(program, conversation) > before


async def test_an_empty_conversation_has_its_full_retention(program: V1Client) -> None:
    empty, full = await program.conversation(), await program.conversation("One")
    apart = await expires_at(program, full) - await expires_at(program, empty)

    assert apart.total_seconds() < 60


async def test_metadata_reading_and_deleting_do_not_restart_retention(program: V1Client) -> None:
    conversation = await program.conversation("One", "Two")
    path = f"/v1/conversations/{conversation}"
    before = await expires_at(program, conversation)
    changed = await program.post(path, {"metadata": {"topic": "tea"}})
    item = (await program.get(f"{path}/items")).document["data"][0]["id"]
    deleted = await program.delete(f"{path}/items/{item}")

    assert (changed.status, deleted.status) == (200, 200)
    assert await expires_at(program, conversation) == before


async def test_a_response_that_is_not_stored_never_reaches_the_store() -> None:
    def replace(container: punq.Container) -> None:
        container.register(ConversationStateStore, instance=LeakyStore())

    async with running_service(Settings(), model=EchoModel(), replacing=replace) as service:
        program = await V1Client.new(service.url)
        ephemeral = await program.ask("Hello?", store=False)
        stored = await program.ask("Hello?")

    assert ephemeral.document["output"][0]["content"][0]["text"] == "Hello? "
    assert (stored.status, error_of(stored)["code"]) == (500, "internal_error")
    assert SENTENCE.encode() not in stored.body


async def test_a_retry_with_its_key_is_answered_once(program: V1Client) -> None:
    first, second = [
        await program.post("/v1/responses", {"input": "One"}, **KEYED) for _ in range(2)
    ]
    other = await program.post("/v1/responses", {"input": "Two"}, **KEYED)

    assert first.document["id"] == second.document["id"]
    assert first.document["output"] == second.document["output"]
    assert (other.status, error_of(other)["code"]) == (422, "idempotency_key_reused")


async def test_a_retry_in_a_conversation_is_answered_once(program: V1Client) -> None:
    conversation = await program.conversation()
    body = {"input": "One", "conversation": conversation}
    first, second = [await program.post("/v1/responses", body, **KEYED) for _ in range(2)]
    items = await program.get(f"/v1/conversations/{conversation}/items")

    assert first.document["id"] == second.document["id"]
    assert len(items.document["data"]) == 2


async def test_a_conversation_can_be_deleted_twice(program: V1Client) -> None:
    conversation = await program.conversation("One")
    answers = [await program.delete(f"/v1/conversations/{conversation}") for _ in range(2)]

    assert [answer.document["deleted"] for answer in answers] == [True, True]


async def test_deleting_the_last_response_deletes_its_conversation(program: V1Client) -> None:
    response = (await program.ask("One")).document
    await program.delete(f"/v1/responses/{response['id']}")

    assert (await program.client.history(session_of(response["id"]))).status == 404


async def test_responses_are_never_cached(program: V1Client) -> None:
    conversation = await program.conversation("One")
    answers = [
        await program.ask("Two", conversation=conversation),
        await program.get(f"/v1/conversations/{conversation}/items"),
        await program.get(f"/v1/conversations/{conversation}/items/msg_none"),
    ]

    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}
