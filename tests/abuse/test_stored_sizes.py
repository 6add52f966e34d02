"""What compresses to almost nothing is bounded as well, wherever a caller can store it."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.support.fleet import Fleet
from tests.support.http_client import Answer
from tests.support.instructed_model import instruction
from tests.support.process_usage import cpu_seconds, resident_bytes
from tests.support.v1_client import V1Client, error_of

LONG = "=" * 30_000
TOO_LONG = "=" * 33_000
SCHEMA = {"type": "json_schema", "name": "form", "schema": {"type": "object", "title": TOO_LONG}}
TOOL = {"type": "function", "name": "look", "description": TOO_LONG}
MEBIBYTE = 2**20


async def until_refused(program: V1Client, path: str, body: dict[str, Any]) -> tuple[int, Answer]:
    """How many requests were accepted, and the first answer that was not a 200."""
    for accepted in range(200):
        answer = await program.post(path, body)
        if answer.status != 200:
            return accepted, answer
    raise AssertionError("nothing was refused")


@pytest.mark.parametrize(
    ("members", "name"),
    [
        ({"instructions": TOO_LONG}, "instructions"),
        ({"text": {"format": SCHEMA}}, "text"),
        ({"prompt_cache_key": TOO_LONG}, "prompt_cache_key"),
        ({"tools": [TOOL, TOOL]}, "tools"),
    ],
)
async def test_every_parameter_of_a_response_is_bounded(
    fleet: Fleet, members: dict[str, Any], name: str
) -> None:
    program = await V1Client.new((await fleet.start()).url)
    for kept in ({}, {"store": False}):
        body = {"input": instruction("x", 1), **members, **kept}
        answer = await program.post("/v1/responses", body)

        assert (answer.status, error_of(answer)["code"]) == (413, "parameter_too_long")
        assert error_of(answer)["param"] == name
    assert fleet.model.requests.total() == 0


async def test_parameters_fill_a_conversation_only_to_its_bound(fleet: Fleet) -> None:
    process = await fleet.start(MODEL_CONTEXT_TOKENS="100000")
    program = await V1Client.new(process.url)
    conversation = await program.conversation()
    body = {"input": instruction("x", 1), "conversation": conversation, "instructions": LONG}
    accepted, refused = await until_refused(program, "/v1/responses", body)
    before = resident_bytes(process.pid)
    export = await program.client.get(f"/api/chat/{session_of(conversation)}/export")

    assert (refused.status, error_of(refused)["code"]) == (413, "conversation_full")
    assert accepted >= 50
    assert len(export.body) < 3_000_000
    assert resident_bytes(process.pid) - before < 64 * MEBIBYTE


async def test_items_fill_a_conversation_only_to_its_bound(fleet: Fleet) -> None:
    program = await V1Client.new((await fleet.start()).url)
    conversation = await program.conversation()
    items = [{"role": "user", "content": text} for text in ["=" * 2_000] * 20]
    question = {"role": "user", "content": instruction("x", 1)}
    body = {"input": [*items, question], "conversation": conversation}
    _, refused = await until_refused(program, "/v1/responses", body)
    export = await program.client.get(f"/api/chat/{session_of(conversation)}/export")

    assert (refused.status, error_of(refused)["code"]) == (413, "conversation_full")
    assert len(export.body) < 3_000_000


def session_of(conversation: str) -> str:
    digits = conversation.removeprefix("conv_")
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


async def test_the_largest_conversation_costs_nobody_a_tenth_of_a_second(fleet: Fleet) -> None:
    process = await fleet.start()
    program = await V1Client.new(process.url)
    conversation = await program.conversation("x")
    short = [{"role": "assistant", "content": "x"}] * 250
    body = {"conversation": conversation, "input": [*short, asking("x")]}
    _, refused = await until_refused(program, "/v1/responses", body)
    items = (await program.get(f"/v1/conversations/{conversation}/items?order=asc")).document

    async def cost(request: Callable[[str], Awaitable[Answer]], path: str) -> float:
        before = cpu_seconds(process.pid)
        assert (await request(f"/v1/conversations/{conversation}/{path}")).status == 200
        return cpu_seconds(process.pid) - before

    # A busy machine adds to what is measured; what is too expensive is so each time.
    deletions = [await cost(program.delete, f"items/{item['id']}") for item in items["data"][:3]]
    reads = [await cost(program.get, "items?limit=1") for _ in range(3)]

    assert (refused.status, error_of(refused)["code"]) == (413, "conversation_full")
    assert max(min(deletions), min(reads)) < 0.2


def asking(name: str) -> dict[str, object]:
    return {"role": "user", "content": instruction(name, 1)}
