"""A conversation begins with the system prompt for its page or its metadata, and keeps it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from tests.support.fake_model import InstantModel
from tests.support.native_client import NativeClient
from tests.support.service import UNLIMITED, RunningService, running_service
from tests.support.v1_client import V1Client

PROFILE = """
system_prompt = "Be kind."

[prompts.taxes]
system_prompt = "Explain taxes."
when.metadata.topic = "tax"

[prompts.comparing]
system_prompt = "Compare."
when.page_context.page = "/compare*"

[welcome]
en = "Welcome"
"""


@pytest.fixture
def model() -> InstantModel:
    return InstantModel("Hi!")


@pytest.fixture
async def service(model: InstantModel, tmp_path: Path) -> AsyncIterator[RunningService]:
    file = tmp_path / "assistant.toml"
    file.write_text(PROFILE)
    settings = evolve(UNLIMITED, assistant_file=file, v1=True)
    async with running_service(settings, model=model) as running:
        yield running


@pytest.fixture
async def user(service: RunningService) -> NativeClient:
    client = NativeClient(service.url)
    await client.get_key()
    return client


def systems(model: InstantModel) -> list[str]:
    """The first sentence of the system message of each prompt so far."""
    return [prompt.system.partition(".")[0] for prompt in model.prompts]


async def prompt_name(user: NativeClient, session_id: str) -> Any:
    return (await user.get(f"/api/chat/{session_id}/export")).document["promptName"]


async def test_the_page_of_the_first_message_decides(
    user: NativeClient, model: InstantModel
) -> None:
    comparing = (await user.send("Hi", context={"page": "/compare/1"})).session_id
    await user.send("And?", comparing, context={"page": "/start"})
    other = (await user.send("Hi", context={"page": "/start"})).session_id
    await user.send("And?", other, context={"page": "/compare/1"})

    assert systems(model) == ["Compare", "Compare", "Be kind", "Be kind"]
    assert await prompt_name(user, comparing) == "comparing"
    assert await prompt_name(user, other) is None


async def test_an_edit_of_the_first_message_decides_again(
    user: NativeClient, model: InstantModel
) -> None:
    session_id = (await user.send("Hi", context={"page": "/compare"})).session_id
    path, edit = f"/api/chat/{session_id}/regenerate", {"context": {"page": "/start"}}
    await user.post(path, {})
    await user.post(path, {"message": "Hello", **edit})

    assert systems(model) == ["Compare", "Compare", "Be kind"]
    assert await prompt_name(user, session_id) is None


async def test_a_following_conversation_keeps_the_prompt(
    user: NativeClient, model: InstantModel
) -> None:
    session_id = (await user.send("Hi", context={"page": "/compare"})).session_id
    following = await user.post("/api/sessions", {"continues": session_id})
    await user.send("And?", following.document["sessionId"], context={"page": "/start"})

    assert systems(model) == ["Compare", "Compare"]


async def test_the_metadata_of_a_new_session_decides(
    user: NativeClient, model: InstantModel
) -> None:
    created = await user.post("/api/sessions", {"metadata": {"topic": "tax"}})
    await user.send("Hi", created.document["sessionId"], context={"page": "/compare"})

    assert systems(model) == ["Explain taxes"]


@pytest.mark.parametrize("truncation", ["auto", "disabled"])
async def test_on_v1_the_metadata_of_the_conversation_decides(
    service: RunningService, model: InstantModel, truncation: str
) -> None:
    program = await V1Client.new(service.url)
    members = {"metadata": {"topic": "tax"}, "items": [{"role": "user", "content": "Hello"}]}
    conversation = (await program.post("/v1/conversations", members)).document["id"]
    for _ in range(2):
        await program.ask("Hi", conversation=conversation, truncation=truncation)
    await program.ask("Hi", metadata={"topic": "tax"}, store=False)

    assert systems(model) == ["Explain taxes", "Explain taxes", "Be kind"]
