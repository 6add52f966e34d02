"""The domain's values as documents of the native protocol."""

from typing import Any

import msgspec
import pytest

from domain.model.identifiers import MessageId
from domain.model.message import (
    NO_SERVER,
    FilePart,
    FinishReason,
    MessageStatus,
    Part,
    ReasoningPart,
    Role,
    SourcePart,
    StepMark,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    UnknownPart,
    Usage,
)
from domain.model.piece import Piece, StatePiece, TextPiece
from domain.model.turn import IdempotencyKey
from domain.service.turn_lifecycle import add_user_message, fail, finish
from entrypoints.http.documents import (
    export_document,
    history_document,
    message_document,
    part_document,
    usage_document,
)
from entrypoints.usecases.conversations import History
from ports.conversation_store import Page
from tests.support.builders import (
    ID,
    a_conversation,
    a_message,
    a_new_turn,
    reply_id,
    turn_id,
    with_answer,
    with_question,
)
from tests.support.clocks import NOON

ALSO = "2026-01-02T12:00:00Z"
TOMORROW = "2026-01-03T12:00:00Z"


def rendered(document: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(document))


@pytest.mark.parametrize(
    ("part", "document"),
    [
        (TextPart("Hi"), {"type": "text", "text": "Hi"}),
        (
            SourcePart(id="s1", title="B", url="https://a.example", excerpt="Once"),
            {
                "type": "source",
                "id": "s1",
                "title": "B",
                "url": "https://a.example",
                "excerpt": "Once",
            },
        ),
        (
            ToolCallPart(call_id="c", name="look", arguments="{}", server="library"),
            {
                "type": "tool-call",
                "toolCallId": "c",
                "toolName": "look",
                "arguments": "{}",
                "providerExecuted": True,
                "server": "library",
            },
        ),
        (
            ToolCallPart(call_id="c", name="magic", arguments="{}", server=NO_SERVER),
            {
                "type": "tool-call",
                "toolCallId": "c",
                "toolName": "magic",
                "arguments": "{}",
                "providerExecuted": True,
            },
        ),
        (ReasoningPart("Hm"), {"type": "reasoning", "text": "Hm"}),
        (
            ToolCallPart(call_id="c", name="look", arguments="{oh"),
            {"type": "tool-call", "toolCallId": "c", "toolName": "look", "arguments": "{oh"},
        ),
        (
            ToolResultPart(call_id="c", output='{"a":1}', failed=True),
            {"type": "tool-result", "toolCallId": "c", "output": {"a": 1}, "failed": True},
        ),
        (
            FilePart(url="https://f.test", media_type="text/plain"),
            {"type": "file", "url": "https://f.test", "mediaType": "text/plain"},
        ),
        (
            FilePart(url="https://f.test", media_type="text/plain", name="f"),
            {"type": "file", "url": "https://f.test", "mediaType": "text/plain", "name": "f"},
        ),
        (StepMark(), {"type": "step-start"}),
        (UnknownPart('{"type":"new","a":[1]}'), {"type": "new", "a": [1]}),
    ],
)
def test_every_kind_of_part_has_a_document(part: Part, document: dict[str, Any]) -> None:
    assert rendered(part_document(part)) == document


def test_a_message_shows_its_text_and_all_its_parts() -> None:
    parts = (ReasoningPart("Hm"), TextPart("Hi"), TextPart("!"))
    message = a_message(role=Role.ASSISTANT, parts=parts, status=MessageStatus.INTERRUPTED)

    assert rendered(message_document(message)) == {
        "id": "message-1",
        "role": "assistant",
        "content": "Hi!",
        "parts": [
            {"type": "reasoning", "text": "Hm"},
            {"type": "text", "text": "Hi"},
            {"type": "text", "text": "!"},
        ],
        "status": "interrupted",
        "finishReason": None,
        "createdAt": ALSO,
    }


@pytest.mark.parametrize("reason", FinishReason)
def test_a_reply_says_why_the_model_stopped(reason: FinishReason) -> None:
    message = a_message(role=Role.ASSISTANT, parts=(), finish_reason=reason)

    assert rendered(message_document(message))["finishReason"] == reason.value


def test_a_message_has_sources_only_if_there_are_some() -> None:
    source = SourcePart(id="s1", title="B")
    with_source = rendered(message_document(a_message(parts=(source, TextPart("Hi")))))

    assert with_source["sources"] == [{"id": "s1", "title": "B", "url": None, "excerpt": None}]
    assert "sources" not in rendered(message_document(a_message()))


def test_a_page_of_history_shows_the_expiry() -> None:
    failed = fail(with_question(a_conversation()), turn_id(), [], NOON, "model_busy")
    history = History(conversation=failed, page=Page(messages=failed.messages, next=7))

    document = rendered(history_document(history))

    assert document["sessionId"] == ID
    assert [message["content"] for message in document["messages"]] == ["Hello?"]
    assert document["turn"] == {
        "id": turn_id(),
        "status": "failed",
        "error": "model_busy",
        "replyId": reply_id(),
    }
    assert (document["expiresAt"], document["next"]) == (TOMORROW, 7)


def test_a_conversation_without_a_turn_shows_null() -> None:
    history = History(conversation=a_conversation(), page=Page(messages=(), next=None))

    assert rendered(history_document(history))["turn"] is None


def test_an_export_document_contains_everything_stored() -> None:
    conversation = with_answer(
        with_question(
            a_conversation(metadata={"a": "b"}, summary="s", working_memory_from=2),
            page_context='{"page": 1}',
        )
    )

    document = rendered(export_document(conversation))

    assert document["format"] == "privity-export-1"
    assert (document["createdAt"], document["expiresAt"]) == (ALSO, TOMORROW)
    assert document["messages"][0]["pageContext"] == {"page": 1}
    assert (document["metadata"], document["summary"]) == ({"a": "b"}, "s")
    assert document["workingMemoryFrom"] == 2
    assert document["turn"]["replyId"] == "reply-1"
    assert document["messages"][1] == {
        "id": "reply-1",
        "number": 2,
        "turn": 1,
        "role": "assistant",
        "status": "finished",
        "createdAt": ALSO,
        "parts": [{"type": "text", "text": "Hi!"}],
        "finishReason": FinishReason.STOP.value,
        "usage": None,
        "pageContext": None,
    }


def test_an_export_shows_no_digest() -> None:
    key = IdempotencyKey(digest=b"planted-digest", body_digest=b"planted-body")
    opening, parts = a_new_turn(idempotency=key), (TextPart("Hello?"),)
    conversation = add_user_message(a_conversation(), opening, MessageId("question-1"), parts)

    document = rendered(export_document(conversation))

    assert "planted" not in str(document)
    assert set(document["turn"]) == {
        "id",
        "number",
        "status",
        "openedAt",
        "endedAt",
        "replyId",
        "error",
    }


def test_a_count_that_the_model_did_not_report_is_left_out() -> None:
    assert usage_document(None) is None
    assert rendered(usage_document(Usage(output_tokens=3))) == {"outputTokens": 3}


def test_an_export_has_the_state_of_the_hook_and_the_states_before_it() -> None:
    opened = with_question(a_conversation(prompt_name="comparing"))
    pieces: list[Piece] = [StatePiece('{"phase":1}'), TextPiece("Hi!")]
    first = finish(opened, turn_id(1), pieces, NOON, reason=FinishReason.STOP)
    pieces = [StatePiece(None), TextPiece("Bye!")]
    again = with_question(first, number=2)
    second = finish(again, turn_id(2), pieces, NOON, reason=FinishReason.STOP)

    document, last = rendered(export_document(first)), rendered(export_document(second))

    assert (document["promptName"], document["hookState"]) == ("comparing", {"phase": 1})
    assert last["hookState"] is None
    assert [message.get("hookStateBefore", "-") for message in last["messages"]] == [
        *("-", None),
        *("-", {"phase": 1}),
    ]
