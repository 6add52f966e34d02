"""Invalid requests to ``/v1``: each is answered in OpenAI's shape and changes nothing."""

import json
from typing import Any

import pytest

from tests.support.v1_client import V1Client, error_of

LONG = "x" * 262_145


def message(role: str, content: str | list[Any] = "Hi") -> dict[str, Any]:
    return {"role": role, "content": content}


def body_with(*items: dict[str, Any]) -> bytes:
    return json.dumps({"input": items}).encode()


VALID = b'{"input":"Hi","conversation":"CONVERSATION"}'
DEEP = b"[" * 60_000
BODIES = {
    "cut off": (VALID[:-1], "body_not_json"),
    "not UTF-8": (b"\xff\xfe{\x00}\x00", "body_not_json"),
    "half a surrogate pair": (b'{"input":"\\ud800"}', "body_not_json"),
    "a list": (b"[]", "body_invalid"),
    "nested too deeply": (DEEP + b"]" * 60_000, "body_invalid"),
    "nested too deeply within": (b'{"input":' + DEEP + b"]" * 60_000 + b"}", "body_invalid"),
    "a number": (b"1", "body_invalid"),
    "blank": (VALID.replace(b"Hi", b"  "), "message_empty"),
    "NUL": (VALID.replace(b"Hi", b"a\\u0000"), "message_not_text"),
    "too long": (VALID.replace(b"Hi", b"x" * 8_001), "message_too_long"),
    "too long in parts": (
        VALID.replace(
            b'"Hi"',
            json.dumps(
                [
                    {
                        "role": "user",
                        "content": [{"type": "input_text", "text": "x" * 5_000}] * 2,
                    }
                ]
            ).encode(),
        ),
        "message_too_long",
    ),
    "too large": (b'{"input":"' + b"x" * 1_048_576 + b'"}', "body_too_large"),
    "no content": (body_with(message("user", [])), "body_invalid"),
    "an empty instruction": (body_with(message("user"), message("system", [])), "body_invalid"),
    "a reply that is too long": (
        body_with(message("assistant", LONG)),
        "message_too_long",
    ),
    "reasoning that is too long": (
        body_with({"type": "reasoning", "summary": [{"type": "summary_text", "text": LONG}]}),
        "message_too_long",
    ),
    "arguments that are too long": (
        body_with({"type": "function_call", "call_id": "a", "name": "b", "arguments": LONG}),
        "message_too_long",
    ),
    "a result that is too long": (
        body_with({"type": "function_call_output", "call_id": "a", "output": LONG}),
        "tool_result_too_long",
    ),
    "instructions that are too long": (
        body_with(message("system", "x" * 20_000), message("developer", "x" * 20_000)),
        "parameter_too_long",
    ),
    "later instructions that are too long": (
        body_with(message("user"), message("system", "x" * 32_769)),
        "parameter_too_long",
    ),
    "instructions alone": (body_with(message("system")), "body_invalid"),
    "an unknown role": (b'{"input":[{"role":"king","content":"Hi"}]}', "parameter_unsupported"),
    "an item of a number": (b'{"input":[1]}', "body_invalid"),
    "metadata of numbers": (b'{"input":"Hi","metadata":{"a":1}}', "body_invalid"),
    "too much metadata": (
        json.dumps({"input": "Hi", "metadata": {str(n): "" for n in range(17)}}).encode(),
        "body_invalid",
    ),
    "a tool of a number": (b'{"input":"Hi","tools":[1]}', "body_invalid"),
    "a tool without a name": (b'{"input":"Hi","tools":[{"type":"function"}]}', "body_invalid"),
    "an unknown format": (
        b'{"input":"Hi","text":{"format":{"type":"x"}}}',
        "parameter_unsupported",
    ),
    "an unknown effort": (
        b'{"input":"Hi","reasoning":{"effort":"store"}}',
        "parameter_unsupported",
    ),
    "an unknown verbosity": (
        b'{"input":"Hi","text":{"verbosity":"store"}}',
        "parameter_unsupported",
    ),
    "true for a number": (b'{"input":"Hi","max_output_tokens":true}', "body_invalid"),
    "a conversation of a number": (b'{"input":"Hi","conversation":1}', "body_invalid"),
    "an item without content": (b'{"input":[{"role":"user"}]}', "body_invalid"),
}


@pytest.fixture
async def program(echo_service: str) -> V1Client:
    return await V1Client.new(echo_service)


@pytest.mark.parametrize("name", BODIES)
async def test_an_invalid_body_is_refused_and_changes_nothing(program: V1Client, name: str) -> None:
    body, code = BODIES[name]
    conversation = await program.conversation("Keep me")
    typed = {"content_type": "application/json"}
    sent = body.replace(b"CONVERSATION", conversation.encode())
    refused = await program.call("POST", "/v1/responses", sent, **typed)
    items = await program.get(f"/v1/conversations/{conversation}/items")

    assert error_of(refused)["code"] == code
    assert 400 <= refused.status < 500
    assert len(items.document["data"]) == 1


async def test_a_body_of_another_media_type_is_refused(program: V1Client) -> None:
    refused = await program.call("POST", "/v1/responses", VALID, content_type="text/plain")

    assert (refused.status, error_of(refused)["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/made-up", 404),
        ("PUT", "/v1/responses", 405),
        ("GET", "/v1/responses/resp_made_up", 404),
        ("GET", "/v1/responses/resp_" + "0" * 40, 404),
        ("DELETE", "/v1/responses/resp_" + "0" * 40, 404),
        ("GET", "/v1/conversations/made-up", 404),
        ("DELETE", "/v1/conversations/made-up", 404),
        ("GET", "/v1/conversations/conv_" + "0" * 32 + "/items", 404),
    ],
)
async def test_a_missing_resource_is_an_error_in_openais_shape(
    program: V1Client, method: str, path: str, status: int
) -> None:
    refused = await program.call(method, path)

    assert refused.status == status
    assert error_of(refused)["message"].endswith(".")


async def test_the_refusal_of_a_body_repeats_nothing_of_it(program: V1Client) -> None:
    planted = "the-heron-sleeps-standing"
    bodies = [
        {"input": [{"role": planted, "content": planted}]},
        {"input": "Hi", "tool_choice": {"type": "function", "name": planted}},
        {"input": "Hi", "tools": [{"type": planted}]},
        {"input": "Hi", "reasoning": {"mode": planted}},
        {"input": "Hi", "metadata": {planted: 1}},
        {"input": "Hi", "previous_response_id": planted},
        {"input": "Hi", "truncation": planted},
        {"input": "Hi", "text": {"format": {"type": planted}}},
        {"input": [{"type": "function_call_output", "call_id": planted, "output": planted}]},
        {"input": "Hi", "truncation": f"x' - at `$.{planted}`"},
        {"input": "Hi", "metadata": {planted: planted * 30}},
        {"input": "Hi", "metadata": {f"{planted}\0": ""}},
        {"input": "Hi", "temperature": planted},
        {"input": "Hi", "max_tokens": planted},
        {"input": "Hi", "reasoning": {planted: planted}},
        {"input": "Hi", "text": {"format": {planted: planted}}},
        {"input": "Hi", "include": [planted]},
        {"input": [{"id": planted}]},
        {"input": [{"type": f"{planted} - at `$.x`", planted: planted}]},
    ]
    answers = [await program.post("/v1/responses", body) for body in bodies]

    reference = bodies.index({"input": [{"id": planted}]})
    assert [answer.status for answer in answers] == [
        404 if index == reference else 400 for index in range(len(bodies))
    ]
    assert [answer.body for answer in answers if planted.encode() in answer.body] == []
