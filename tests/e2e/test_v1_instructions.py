"""Messages with the roles ``system`` and ``developer``: where they apply and where they show."""

from typing import Any
from uuid import UUID

import pytest

from domain.model.message import Role
from tests.support.fake_model import FakeModel
from tests.support.service import RunningService
from tests.support.v1_client import V1Client


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


def _session_of(conversation: str) -> str:
    return str(UUID(conversation.removeprefix("conv_")))
