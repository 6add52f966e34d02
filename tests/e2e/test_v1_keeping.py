"""What ``/v1`` keeps, for how long, and what it never keeps."""

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


async def end_of_stay(program: V1Client, conversation: str) -> datetime:
    """As the native protocol tells it."""
    history = await program.client.history(session_of(conversation))
    return datetime.fromisoformat(history.document["expiresAt"])


def session_of(name: str) -> str:
    digits = name.partition("_")[2][:32]
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


async def test_items_put_in_restart_the_stay(program: V1Client) -> None:
    conversation = await program.conversation("One")
    before = await end_of_stay(program, conversation)
    items = {"items": [{"role": "user", "content": "Two"}]}
    await program.post(f"/v1/conversations/{conversation}/items", items)

    assert await end_of_stay(program, conversation) > before


async def test_an_empty_conversation_has_its_full_stay(program: V1Client) -> None:
    empty, full = await program.conversation(), await program.conversation("One")
    apart = await end_of_stay(program, full) - await end_of_stay(program, empty)

    assert apart.total_seconds() < 60


async def test_metadata_reading_and_deleting_leave_the_stay(program: V1Client) -> None:
    conversation = await program.conversation("One", "Two")
    path = f"/v1/conversations/{conversation}"
    before = await end_of_stay(program, conversation)
    changed = await program.post(path, {"metadata": {"topic": "tea"}})
    item = (await program.get(f"{path}/items")).document["data"][0]["id"]
    deleted = await program.delete(f"{path}/items/{item}")

    assert (changed.status, deleted.status) == (200, 200)
    assert await end_of_stay(program, conversation) == before


async def test_what_is_not_to_be_kept_never_reaches_the_store() -> None:
    def replace(container: punq.Container) -> None:
        container.register(ConversationStateStore, instance=LeakyStore())

    async with running_service(Settings(), model=EchoModel(), replacing=replace) as service:
        program = await V1Client.new(service.url)
        unkept = await program.ask("Hello?", store=False)
        untouched = await program.ask("Hello?")

    assert unkept.document["output"][0]["content"][0]["text"] == "Hello? "
    assert (untouched.status, error_of(untouched)["code"]) == (500, "internal_error")
    assert SENTENCE.encode() not in untouched.body


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


async def test_a_conversation_that_is_deleted_twice_is_deleted(program: V1Client) -> None:
    conversation = await program.conversation("One")
    answers = [await program.delete(f"/v1/conversations/{conversation}") for _ in range(2)]

    assert [answer.document["deleted"] for answer in answers] == [True, True]


async def test_the_last_response_takes_its_conversation_along(program: V1Client) -> None:
    response = (await program.ask("One")).document
    await program.delete(f"/v1/responses/{response['id']}")

    assert (await program.client.history(session_of(response["id"]))).status == 404


async def test_answers_are_never_cached(program: V1Client) -> None:
    conversation = await program.conversation("One")
    answers = [
        await program.ask("Two", conversation=conversation),
        await program.get(f"/v1/conversations/{conversation}/items"),
        await program.get(f"/v1/conversations/{conversation}/items/msg_none"),
    ]

    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}
