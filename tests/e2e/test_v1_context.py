"""Conversations that do not fit the model's context window: nothing is left out unnoticed."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.model.message import Role, ToolResultPart
from entrypoints.settings import Settings
from tests.support.fake_model import EchoModel, FakeModel
from tests.support.http_client import JSON, Answer
from tests.support.service import RunningService, running_service
from tests.support.v1_client import V1Client, error_of

LONG = "word " * 300
"""About 500 tokens."""

TOOL = {"type": "function", "name": "look", "description": "x" * 3_200}
SEEN = "privity_messages_seen"


@pytest.fixture
async def small_service() -> AsyncIterator[RunningService]:
    """A service whose model has room for about three long messages."""
    settings = Settings(limits=False, v1=True, model_context_tokens=2_048, model_reply_tokens=128)
    async with running_service(settings, model=EchoModel()) as service:
        yield service


@pytest.fixture
async def program(small_service: RunningService) -> V1Client:
    return await V1Client.new(small_service.url)


async def long_conversation(program: V1Client) -> str:
    return await program.conversation(*[f"{number} {LONG}" for number in range(6)])


async def count(program: V1Client, conversation: str) -> int:
    return len((await program.get(f"/v1/conversations/{conversation}/items")).document["data"])


def refusal(answer: Answer) -> tuple[int, str, str | None]:
    error = error_of(answer)
    return answer.status, error["code"], error["param"]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_response_says_how_many_messages_its_model_saw(
    program: V1Client, capsys: pytest.CaptureFixture[str], *, stream: bool
) -> None:
    conversation = await long_conversation(program)
    options = {"conversation": conversation, "metadata": {"topic": "tea"}, "stream": stream}
    answer = await program.ask("And now?", **options)
    response = answer.events[-2].document["response"] if stream else answer.document
    first = answer.events[0].document["response"] if stream else None

    assert response["metadata"] == {"topic": "tea", SEEN: "4 of 7"}
    assert first is None or first["metadata"] == {"topic": "tea"}
    assert await program.response(response["id"]) == response
    assert "messages_seen=4 messages_total=7" in capsys.readouterr().out


@pytest.mark.parametrize("truncation", ["auto", "disabled"])
async def test_what_the_assistant_wrote_before_the_first_question_is_not_left_out(
    service: RunningService, fake_model: FakeModel, truncation: str
) -> None:
    program = await V1Client.new(service.url)
    call = {"type": "function_call", "call_id": "a", "name": "look", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "a", "output": "rain"}
    items = [
        {"role": "assistant", "content": "Welcome!"},
        call,
        result,
        {"role": "user", "content": "Hello?"},
    ]
    async with program.asking(items, truncation=truncation) as live:
        model_reply = await fake_model.next_reply()
        model_reply.finish()
        await live.whole()

    [before, question] = model_reply.prompt.messages
    assert (before.role, before.text, question.text) == (Role.ASSISTANT, "Welcome!", "Hello?")
    assert any(isinstance(part, ToolResultPart) for part in before.parts)


async def test_the_count_that_a_client_sends_back_is_not_its_metadata(program: V1Client) -> None:
    metadata = {SEEN: "1 of 2", **{str(number): "" for number in range(16)}}
    answer = await program.ask("Hello?", metadata=metadata)

    assert answer.status == 200
    assert answer.document["metadata"] == {str(number): "" for number in range(16)}


async def test_without_truncation_a_conversation_that_does_not_fit_is_refused(
    program: V1Client,
) -> None:
    conversation = await long_conversation(program)
    options = {"conversation": conversation, "truncation": "disabled"}
    refused = await program.ask("And now?", **options)
    streamed = await program.ask("And now?", stream=True, **options)

    assert refusal(refused) == refusal(streamed) == (400, "context_length_exceeded", "input")
    assert "2,048 tokens" in error_of(refused)["message"]
    assert refused.headers["x-should-retry"] == "false"
    assert await count(program, conversation) == 6


@pytest.mark.parametrize("store", [True, False])
async def test_without_truncation_an_input_that_does_not_fit_is_refused(
    program: V1Client, *, store: bool
) -> None:
    refused = await program.ask(LONG * 5, truncation="disabled", store=store)

    assert refusal(refused) == (400, "context_length_exceeded", "input")


async def test_without_truncation_a_conversation_that_fits_is_answered(program: V1Client) -> None:
    first = await program.ask(LONG, truncation="disabled")
    second = await program.ask(
        "And?", truncation="disabled", previous_response_id=first.document["id"]
    )

    assert (second.status, second.document["truncation"]) == (200, "disabled")
    assert second.document["metadata"] == {}


@pytest.mark.parametrize("store", [True, False])
@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"tools": [TOOL]}, "tools"),
        ({"instructions": "x" * 3_200}, "instructions"),
        (
            {
                "text": {
                    "format": {"type": "json_schema", "name": "n", "schema": {"x": "x" * 3_200}}
                }
            },
            "text.format",
        ),
        ({"tools": [{**TOOL, "description": "x" * 2_000}], "instructions": "x" * 1_500}, "tools"),
    ],
)
async def test_instructions_tools_and_format_may_take_half_of_the_window(
    program: V1Client, options: dict[str, Any], param: str, *, store: bool
) -> None:
    conversation = await program.conversation()
    where = {"conversation": conversation} if store else {"store": False}
    refused = await program.ask("Hello?", **where, **options)

    assert refusal(refused) == (400, "context_length_exceeded", param)
    assert "half" in error_of(refused)["message"]
    assert await count(program, conversation) == 0


async def test_a_native_reply_says_how_many_messages_its_model_saw(program: V1Client) -> None:
    client = program.client
    answer = await client.post("/api/chat", {"message": LONG}, **JSON)
    session = {"sessionId": answer.document["sessionId"]}
    assert (answer.document["messagesSeen"], answer.document["messagesTotal"]) == (None, None)
    for _ in range(3):
        answer = await client.post("/api/chat", {"message": LONG, **session}, **JSON)
    streamed = await client.post("/api/chat", {"message": "And now?", **session})
    history = await client.get(f"/api/chat/{session['sessionId']}")

    seen, total = answer.document["messagesSeen"], answer.document["messagesTotal"]
    assert 0 < seen < total == 7
    [finish] = [event.document for event in streamed.events if event.kind == "finish"]
    assert finish["messageMetadata"]["messagesTotal"] == 9
    assert history.document["messages"][7]["metadata"]["messagesSeen"] == seen


async def test_the_options_of_a_chat_completion_may_take_half_of_the_window(
    program: V1Client,
) -> None:
    system = {"role": "system", "content": "x" * 3_200}
    chat = {"messages": [system, {"role": "user", "content": "Hello?"}]}
    refused = await program.post("/v1/chat/completions", chat)

    assert refusal(refused) == (400, "context_length_exceeded", "messages")
