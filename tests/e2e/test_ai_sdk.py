"""Malformed AI SDK bodies: each gets a clear problem, and nothing is changed."""

import json
from typing import Any

import pytest

from tests.support.http_client import JSON, Answer
from tests.support.native_client import NativeClient
from tests.support.untouched_conversation import UntouchedConversation

TEXT = {"type": "text", "text": "Hi"}


def message(*parts: Any, **members: Any) -> dict[str, Any]:
    return {"id": "u1", "role": "user", "parts": list(parts or (TEXT,)), **members}


def tool(**members: Any) -> dict[str, Any]:
    part = {"type": "tool-look", "toolCallId": "a", "state": "output-available", "output": 1}
    return message({**part, **members}, role="assistant")


def body(*messages: Any, **members: Any) -> dict[str, Any]:
    return {"id": "SESSION", "messages": list(messages or (message(),)), **members}


def without_id(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "id"}


REJECTED: dict[str, tuple[Any, int, str]] = {
    "no id": (without_id(body()), 400, "body_invalid"),
    "an id of a number": (body(id=7), 400, "body_invalid"),
    "an empty id": (body(id=""), 400, "chat_id_malformed"),
    "an id with a slash": (body(id="a/b"), 400, "chat_id_malformed"),
    "a long id": (body(id="a" * 257), 400, "chat_id_malformed"),
    "no messages": ({"id": "SESSION", "messages": []}, 400, "body_invalid"),
    "a message that is text": (body("Hi"), 400, "body_invalid"),
    "a message without a role": (body({"id": "u1", "parts": [TEXT]}), 400, "body_invalid"),
    "a message of the system": (body(message(role="system")), 400, "parameter_unsupported"),
    "an earlier message of the system": (
        body(message(role="system"), message()),
        400,
        "parameter_unsupported",
    ),
    "a message of the system alone": (
        {"id": "SESSION", "message": message(role="system")},
        400,
        "parameter_unsupported",
    ),
    "a regeneration with a message of the system": (
        body(message(role="system"), message(), trigger="regenerate-message"),
        400,
        "parameter_unsupported",
    ),
    "a message of a tool": (body(message(role="tool")), 400, "body_invalid"),
    "a message without parts": (body({"id": "u1", "role": "user"}), 400, "body_invalid"),
    "no parts": (body({"id": "u1", "role": "user", "parts": []}), 400, "message_empty"),
    "parts that are text": (body({"role": "user", "parts": "Hi"}), 400, "body_invalid"),
    "a part that is text": (body(message("Hi")), 400, "body_invalid"),
    "a part of no kind": (body(message({"text": "Hi"})), 400, "body_invalid"),
    "text of a number": (body(message({"type": "text", "text": 1})), 400, "body_invalid"),
    "4,097 bytes of metadata": (
        body(message(metadata={"a": "a" * (4_097 - len('{"a":""}'))})),
        413,
        "parameter_too_long",
    ),
    "white space": (body(message({"type": "text", "text": " \n"})), 400, "message_empty"),
    "an escaped NUL": (body(message({"type": "text", "text": "a\0"})), 400, "message_not_text"),
    "8,001 characters": (
        body(message({"type": "text", "text": "a" * 8_001})),
        413,
        "message_too_long",
    ),
    "8,001 characters in two": (
        body(message({"type": "text", "text": "a" * 4_000}, {"type": "text", "text": "a" * 4_000})),
        413,
        "message_too_long",
    ),
    "a file": (
        body(message(TEXT, {"type": "file", "url": "data:,", "mediaType": "text/plain"})),
        400,
        "body_invalid",
    ),
    "a trigger that is unknown": (body(trigger="resume-stream"), 400, "body_invalid"),
    "a busy word that is unknown": (body(onBusy="wait"), 400, "body_invalid"),
    "a locale of a list": (body(locale=["en"]), 400, "body_invalid"),
    "context over 8 kB": (body(context="a" * 8_191), 413, "context_too_long"),
    "results without a waiting call": (body(tool()), 409, "tool_results_unexpected"),
    "no results": (body(message(role="assistant")), 409, "tool_results_unexpected"),
    "a result of no call": (body(tool(toolCallId=None)), 400, "body_invalid"),
    "a long result": (body(tool(output="a" * 32_767)), 413, "tool_result_too_long"),
    "too much": (body(message(), app="a" * 2_097_152), 413, "body_too_large"),
    "too much before the messages": ({"app": "a" * 131_072, **body()}, 413, "body_too_large"),
}
OWNER_ONLY = {"results without a waiting call", "no results"}


async def post_chat(client: NativeClient, document: Any) -> Answer:
    return await client.post("/api/chat", document)


@pytest.mark.parametrize(
    ("document", "status", "code"),
    [case for name, case in REJECTED.items() if name not in OWNER_ONLY],
    ids=[name for name in REJECTED if name not in OWNER_ONLY],
)
async def test_a_bad_message_is_rejected_and_changes_nothing(
    untouched: UntouchedConversation, document: dict[str, Any], status: int, code: str
) -> None:
    named = json.loads(json.dumps(document).replace("SESSION", untouched.session_id))

    rejection = await untouched.rejection(lambda client: post_chat(client, named))

    assert rejection == (status, code)


@pytest.mark.parametrize("name", sorted(OWNER_ONLY))
async def test_tool_results_are_accepted_only_where_a_call_waits(
    untouched: UntouchedConversation, name: str
) -> None:
    document, status, code = REJECTED[name]
    named = {**document, "id": untouched.session_id}

    rejected = await post_chat(untouched.client, named)
    unknown = await post_chat(NativeClient(untouched.client.url), named)

    assert (rejected.status, rejected.code) == (status, code)
    assert (unknown.status, unknown.code) == (404, "conversation_not_found")
    await untouched.assert_unchanged()


async def test_a_problem_includes_the_shape_that_the_ai_sdk_knows(
    untouched: UntouchedConversation,
) -> None:
    answer = await post_chat(
        untouched.client, body(message({"type": "text", "text": 5}), id="mine")
    )

    error = answer.document["error"]
    assert (error["code"], error["type"]) == ("body_invalid", "invalid_request_error")
    assert error["message"] == answer.document["detail"]


async def test_earlier_messages_in_the_body_are_never_read(
    echo_client: NativeClient,
) -> None:
    nonsense: list[Any] = [7, None, {"role": 1}, {"role": "user"}, [[]], "Hi"]

    answer = await post_chat(echo_client, body(*nonsense, message(), id="mine"))

    assert answer.status == 200


async def test_a_chat_much_longer_than_its_newest_message_is_accepted(
    echo_client: NativeClient,
) -> None:
    shown = [message({"type": "text", "text": "a" * 8_000}) for _ in range(100)]

    answer = await post_chat(echo_client, body(*shown, message(), id="mine"))

    assert answer.status == 200
    assert answer.events[0].document["messageMetadata"]["restarted"] is True


async def test_the_apps_members_are_ignored_and_privitys_are_used(
    echo_client: NativeClient,
) -> None:
    ours = {"context": {"page": 1}, "locale": "en"}
    answer = await post_chat(echo_client, body(id="mine", **ours, temperature=2, user={"deep": []}))
    export = (await echo_client.get("/api/chat/mine/export")).document

    assert answer.status == 200
    assert (export["messages"][0]["pageContext"], export["locale"]) == ({"page": 1}, "en")


async def test_the_reply_can_be_a_document(echo_client: NativeClient) -> None:
    answer = await echo_client.post("/api/chat", body(id="mine"), **JSON)

    assert answer.document["reply"]["content"] == "Hi "
    assert answer.document["restarted"] is False


async def test_the_same_request_twice_is_one_turn(echo_client: NativeClient) -> None:
    twice = [
        await echo_client.post("/api/chat", body(id="mine"), idempotency_key="k") for _ in range(2)
    ]
    history = (await echo_client.get("/api/chat/mine")).document

    turns = {answer.events[0].document["messageMetadata"]["turnId"] for answer in twice}
    assert (len(turns), len(history["messages"])) == (1, 2)


async def test_every_path_accepts_the_clients_chat_id(echo_client: NativeClient) -> None:
    await post_chat(echo_client, body(id="mine"))
    again = await echo_client.post("/api/chat/mine/regenerate", {})
    stopped = await echo_client.post("/api/chat/mine/stop", {})
    resumed = await echo_client.get("/api/chat/mine/stream")
    forgotten = await echo_client.delete("/api/chat/mine")

    statuses = [answer.status for answer in (again, stopped, resumed, forgotten)]
    assert statuses == [200, 200, 204, 204]
    assert (await echo_client.get("/api/chat/mine")).status == 404


@pytest.mark.parametrize("named", [{}, {"messageId": "unknown"}], ids=["unnamed", "unknown"])
async def test_regenerating_answers_the_stored_message(
    echo_client: NativeClient, named: dict[str, str]
) -> None:
    await post_chat(echo_client, body(id="mine"))
    await post_chat(echo_client, body(message(id="u2"), id="mine"))
    other = message({"type": "text", "text": "Forged"})
    members = {"trigger": "regenerate-message", "force": True, **named}
    answer = await post_chat(echo_client, body(other, id="mine", **members))
    history = (await echo_client.get("/api/chat/mine")).document

    assert answer.status == 200
    texts = [message["parts"][-1]["text"] for message in history["messages"]]
    assert texts == ["Hi", "Hi "]
