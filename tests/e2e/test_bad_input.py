"""Bad messages: each gets a clear problem, and nothing is changed."""

import json

import pytest

from tests.support.http_client import Answer
from tests.support.native_client import NativeClient
from tests.support.untouched_conversation import UntouchedConversation

WELL = b'{"message":"Hi","sessionId":"SESSION"}'
DEEP = b"[" * 60_000
NESTED = DEEP + b"]" * 60_000


def with_members(members: bytes) -> bytes:
    """A message to the untouched conversation, with further members."""
    return WELL[:-1] + b"," + members + b"}"


def with_text(text: str) -> bytes:
    return message_of(json.dumps(text).encode())


def message_of(value: bytes) -> bytes:
    """A message to the untouched conversation; its text is this JSON."""
    return b'{"message":%b,"sessionId":"SESSION"}' % value


NOT_JSON = {
    "cut off": WELL[:-1],
    "bare words": b"message=Hi",
    "not UTF-8": b"\xff\xfe{\x00}\x00",
    "two bodies": WELL + WELL,
    "garbage after it": WELL + b"\0",
    "a byte order mark": b"\xef\xbb\xbf" + WELL,
    "half a surrogate pair as bytes": message_of(b'"\xed\xa0\x80"'),
    "half a surrogate pair escaped": message_of(b'"\\ud800"'),
    "the other half escaped": message_of(b'"\\udc00 there"'),
    "a raw NUL": message_of(b'"a\0b"'),
    "a raw line feed": message_of(b'"a\nb"'),
    "an invalid number": with_members(b'"context":NaN'),
    "context that is not UTF-8": with_members(b'"context":"\xff"'),
    "context that is cut off": with_members(b'"context":{"a":'),
}
NOT_EXPECTED = {
    "nothing": b"",
    "an empty object": b"{}",
    "a list": b"[" + WELL + b"]",
    "null": b"null",
    "a string": b'"Hi"',
    "a number": b"1e999999",
    "no message": b'{"sessionId":"SESSION"}',
    "a message of null": message_of(b"null"),
    "a message of a number": message_of(b"1"),
    "a message of parts": message_of(b'[{"type":"text","text":"Hi"}]'),
    "an unknown member": with_members(b'"role":"system"'),
    "a history of the client's own": with_members(b'"messages":[]'),
    "another spelling": with_members(b'"session_id":"x"'),
    "a session of a number": b'{"message":"Hi","sessionId":7}',
    "an unknown choice for onBusy": with_members(b'"onBusy":"wait"'),
    "a locale of a list": with_members(b'"locale":["en"]'),
    "a locale without an end": with_members(b'"locale":"%b"' % (b"e" * 36)),
    "a locale with too many subtags": with_members(b'"locale":"fi-a-b-c_d-e-f-g-h"'),
    "context sent twice": with_members(b'"context":1,"questionContext":2'),
    "deep nesting": NESTED,
    "deep nesting without an end": DEEP,
    "a deeply nested message": message_of(NESTED),
    "deeply nested context": with_members(b'"context":' + NESTED),
    "a deeply nested client": with_members(b'"clientId":' + NESTED),
    "a deeply nested unknown member": with_members(b'"stranger":' + NESTED),
}
NOT_TAKEN = {
    "no character": (with_text(""), 400, "message_empty"),
    "white space": (with_text(" \r\n\t\u2003\u3000"), 400, "message_empty"),
    "an escaped NUL": (with_text("a\0b"), 400, "message_not_text"),
    "8,001 characters": (with_text("a" * 8_001), 413, "message_too_long"),
    "8,001 characters of four bytes": (with_text("\U0001f600" * 8_001), 413, "message_too_long"),
    "a megabyte": (with_text("a" * 1_000_000), 413, "body_too_large"),
    "context over 8 kB": (
        with_members(b'"context":"%b"' % (b"a" * 8_191)),
        413,
        "context_too_long",
    ),
    "context over 8 kB from the widget": (
        with_members(b'"questionContext":"%b"' % (b"a" * 8_191)),
        413,
        "context_too_long",
    ),
}
TABLE = {
    **{name: (body, 400, "body_not_json") for name, body in NOT_JSON.items()},
    **{name: (body, 400, "body_invalid") for name, body in NOT_EXPECTED.items()},
    **NOT_TAKEN,
}


async def post_chat(client: NativeClient, body: bytes, **headers: str) -> Answer:
    typed = {"content_type": "application/json", **headers}
    return await client.call("POST", "/api/chat", body, **typed)


@pytest.mark.parametrize(("body", "status", "code"), TABLE.values(), ids=TABLE)
async def test_a_bad_message_is_rejected_and_changes_nothing(
    untouched: UntouchedConversation, body: bytes, status: int, code: str
) -> None:
    body = body.replace(b"SESSION", untouched.session_id.encode())

    rejection = await untouched.rejection(lambda client: post_chat(client, body))

    assert rejection == (status, code)


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "json",
        "text/plain; application/json",
    ],
)
async def test_only_json_is_accepted(untouched: UntouchedConversation, kind: str) -> None:
    body = WELL.replace(b"SESSION", untouched.session_id.encode())

    rejection = await untouched.rejection(lambda client: post_chat(client, body, content_type=kind))

    assert rejection == (415, "unsupported_media_type")


async def test_a_body_without_a_content_type_is_rejected(untouched: UntouchedConversation) -> None:
    rejection = await untouched.rejection(lambda client: client.call("POST", "/api/chat", WELL))

    assert rejection == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "session_id",
    [
        "",
        "1",
        "../../etc/passwd",
        "\0",
        "{6d2a6a4e-6c1e-4f0e-9a0e-3d8b5a3f2c11}",
        "6D2A6A4E-6C1E-4F0E-9A0E-3D8B5A3F2C11",
        "6d2a6a4e6c1e4f0e9a0e3d8b5a3f2c11",
        "٦d2a6a4e-6c1e-4f0e-9a0e-3d8b5a3f2c11",
        "a" * 100_000,
    ],
    ids=lambda text: text[:12],
)
async def test_a_malformed_session_id_begins_no_conversation(
    untouched: UntouchedConversation, session_id: str
) -> None:
    body = json.dumps({"message": "Hi", "sessionId": session_id}).encode()

    rejection = await untouched.rejection(lambda client: post_chat(client, body))

    assert rejection == (400, "session_id_malformed")


@pytest.mark.parametrize("key", ["", "two words", "x" * 256, "schl\xfcssel", "a\tb"])
async def test_an_idempotency_key_is_visible_ascii(
    untouched: UntouchedConversation, key: str
) -> None:
    body = WELL.replace(b"SESSION", untouched.session_id.encode())

    rejection = await untouched.rejection(
        lambda client: post_chat(client, body, idempotency_key=key)
    )

    assert rejection == (400, "idempotency_key_malformed")


async def test_a_problem_names_the_field_and_never_what_was_in_it(
    untouched: UntouchedConversation,
) -> None:
    body = with_members(b'"onBusy":"PLANTED"').replace(b"SESSION", untouched.session_id.encode())

    answer = await post_chat(untouched.client, body)

    assert answer.document["field"] == answer.document["error"]["param"] == "onBusy"
    assert b"PLANTED" not in answer.body


async def test_the_longest_message_and_context_are_accepted(
    untouched: UntouchedConversation,
) -> None:
    longest = {"message": "\U0001f600" * 8_000, "context": "a" * 8_190}

    answer = await NativeClient(untouched.client.url).post("/api/chat", longest)

    assert answer.status == 200
