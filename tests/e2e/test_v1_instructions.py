"""Messages with the roles ``system`` and ``developer``: where they apply and where they show."""

from typing import Any
from uuid import UUID

import pytest

from domain.model.message import Role
from tests.support.fake_model import FakeModel
from tests.support.service import RunningService
from tests.support.v1_client import V1Client, error_of


@pytest.fixture
async def program(service: RunningService) -> V1Client:
    return await V1Client.new(service.url)


def message(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": text}


async def items_of(program: V1Client, conversation: str) -> list[tuple[str, str]]:
    """The role and the text of each message in the list of items, oldest first."""
    listed = await program.get(f"/v1/conversations/{conversation}/items?order=asc")
    return [(item["role"], item["content"][0]["text"]) for item in listed.document["data"]]


async def conversation_with(program: V1Client, *items: dict[str, Any]) -> str:
    created = await program.post("/v1/conversations", {"items": [*items]})
    assert created.status == 200, created.body
    return str(created.document["id"])


async def test_the_items_of_a_conversation_keep_their_role_and_their_place(
    program: V1Client,
) -> None:
    sent = [message("system", "Rhyme."), message("user", "Hello?"), message("developer", "Stop.")]
    conversation = await conversation_with(program, *sent)

    assert await items_of(program, conversation) == [
        ("system", "Rhyme."), ("user", "Hello?"), ("developer", "Stop.")
    ]  # fmt: skip


async def test_instructions_are_not_part_of_the_native_history(program: V1Client) -> None:
    sent = [message("system", "Rhyme."), message("user", "Hello?"), message("developer", "Stop.")]
    conversation = await conversation_with(program, *sent)
    session = _session_of(conversation)
    native = await program.get(f"/api/chat?sessionId={session}")
    ai_sdk = await program.get(f"/api/chat/{session}")

    for history in (native, ai_sdk):
        assert [shown["role"] for shown in history.document["messages"]] == ["user"]


async def test_instructions_are_part_of_the_export(program: V1Client) -> None:
    conversation = await conversation_with(program, message("developer", "Rhyme."))
    exported = await program.get(f"/api/chat/{_session_of(conversation)}/export")

    assert [shown["role"] for shown in exported.document["messages"]] == ["developer"]


async def test_the_model_sees_instructions_among_the_input_at_their_place(
    program: V1Client, fake_model: FakeModel
) -> None:
    sent = [message("user", "Hello?"), message("developer", "Rhyme.")]
    async with program.asking(sent):
        prompt = (await fake_model.next_reply()).prompt

    assert [shown.role for shown in prompt.messages] == [Role.USER, Role.DEVELOPER]


HEAD = [message("system", "Rhyme."), message("developer", "In French.")]


async def test_instructions_at_the_head_of_the_input_follow_the_instructions_of_the_response(
    program: V1Client, fake_model: FakeModel
) -> None:
    async with program.asking([*HEAD, message("user", "Hello?")], instructions="Be brief."):
        prompt = (await fake_model.next_reply()).prompt

    assert prompt.system.endswith("\n\nBe brief.\n\nRhyme.\n\nIn French.")
    assert [shown.text for shown in prompt.messages] == ["Hello?"]


@pytest.mark.parametrize("where", ["conversation", "previous_response_id"])
async def test_instructions_at_the_head_of_the_input_apply_to_one_response_only(
    program: V1Client, fake_model: FakeModel, where: str
) -> None:
    conversation = await conversation_with(program, message("system", "Stay."))
    first = await answered(
        program, fake_model, [*HEAD, message("user", "One")], conversation=conversation
    )
    named = {"conversation": conversation, "previous_response_id": first["id"]}
    async with program.asking("Two", **{where: named[where]}):
        prompt = (await fake_model.next_reply()).prompt

    assert "Stay." in prompt.system
    assert "Rhyme." not in prompt.system
    listed = await items_of(program, conversation)
    assert listed == [("system", "Stay."), ("user", "One"), ("assistant", "Hi"), ("user", "Two")]


async def test_a_reply_that_is_not_stored_heeds_instructions_too(
    program: V1Client, fake_model: FakeModel
) -> None:
    sent = [*HEAD, message("user", "Hello?"), message("developer", "Shout.")]
    async with program.asking(sent, store=False):
        prompt = (await fake_model.next_reply()).prompt

    assert "Rhyme." in prompt.system
    assert [shown.text for shown in prompt.messages] == ["Hello?", "Shout."]


async def test_instructions_alone_are_refused_in_a_conversation_that_waits_for_nothing(
    program: V1Client, fake_model: FakeModel
) -> None:
    first = await answered(program, fake_model, "One")
    refused = await program.ask(HEAD, previous_response_id=first["id"])

    assert refused.status == 400
    assert error_of(refused)["param"] == "input"


async def test_deleting_a_response_deletes_the_instructions_among_its_input(
    program: V1Client, fake_model: FakeModel
) -> None:
    conversation = await conversation_with(program, message("user", "Before"))
    sent = [message("user", "One"), message("system", "Rhyme.")]
    first = await answered(program, fake_model, sent, conversation=conversation)
    await program.call("DELETE", f"/v1/responses/{first['id']}")

    assert await items_of(program, conversation) == [("user", "Before")]


async def answered(
    program: V1Client, fake_model: FakeModel, sent: Any, **members: Any
) -> dict[str, Any]:
    """The response to ``sent``; the reply is "Hi"."""
    async with program.asking(sent, **members) as live:
        reply = await fake_model.next_reply()
        reply.send_text("Hi")
        reply.finish()
        ended = (await live.whole()).events[-2].document["response"]
    return {**ended}


def _session_of(conversation: str) -> str:
    return str(UUID(conversation.removeprefix("conv_")))
