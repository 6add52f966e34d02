"""A conversation from its first message to its end, over HTTP."""

from datetime import timedelta
from uuid import UUID, uuid4

from tests.support.event_stream import kinds, text_of
from tests.support.http_client import JSON
from tests.support.native_client import NativeClient, retention_left

RETENTION = timedelta(hours=24)


async def test_a_first_message_gets_a_reply_and_a_session_id(echo_client: NativeClient) -> None:
    answer = await echo_client.send("Good morning")

    assert answer.status == 200
    assert UUID(answer.session_id).version == 4
    assert answer.events[0].document["restarted"] is False
    assert text_of(answer.events) == "Good morning "


async def test_the_model_sees_the_first_message_when_it_answers_the_second(
    echo_client: NativeClient,
) -> None:
    session_id = (await echo_client.send("I am Ada")).session_id

    answer = await echo_client.send("Who am I?", session_id)

    assert answer.session_id == session_id
    assert text_of(answer.events) == "I am Ada / Who am I? "


async def test_a_forgotten_conversation_is_gone_for_good(echo_client: NativeClient) -> None:
    session_id = (await echo_client.send("Forget me")).session_id

    forgotten = await echo_client.delete(f"/api/chat?sessionId={session_id}")

    assert (forgotten.status, forgotten.body) == (204, b"")
    history = await echo_client.history(session_id)
    assert (history.status, history.code) == (404, "conversation_not_found")


async def test_forgetting_twice_or_by_path_is_the_same(echo_client: NativeClient) -> None:
    session_id = (await echo_client.send("Forget me")).session_id

    answers = [await echo_client.delete(f"/api/chat/{session_id}") for _ in range(2)]

    assert [answer.status for answer in answers] == [204, 204]
    assert (await echo_client.history(session_id)).status == 404


async def test_an_unknown_session_id_begins_a_new_conversation_and_says_so(
    echo_client: NativeClient,
) -> None:
    unknown = str(uuid4())

    answer = await echo_client.send("Hello?", unknown)

    assert answer.session_id != unknown
    assert answer.events[0].document["restarted"] is True
    assert (await echo_client.history(unknown)).status == 404


async def test_a_message_to_a_forgotten_conversation_is_not_lost(echo_client: NativeClient) -> None:
    session_id = (await echo_client.send("Old")).session_id
    await echo_client.delete(f"/api/chat/{session_id}")

    reply = await echo_client.send_for_document("New", session_id)

    assert reply["restarted"] is True
    assert await echo_client.transcript(reply["sessionId"]) == [
        ("user", "New"),
        ("assistant", "New "),
    ]


async def test_another_users_session_id_opens_nothing_and_changes_nothing(
    echo_client: NativeClient,
) -> None:
    session_id = (await echo_client.send("Mine")).session_id
    before = (await echo_client.history(session_id)).body
    stranger = NativeClient(echo_client.url)

    answer = await stranger.send("Yours?", session_id)

    assert answer.events[0].document["restarted"] is True
    assert text_of(answer.events) == "Yours? "
    assert (await stranger.history(session_id)).status == 404
    assert (await stranger.get(f"/api/chat/{session_id}/export")).status == 404
    assert (await stranger.delete(f"/api/chat/{session_id}")).status == 204
    assert (await echo_client.history(session_id)).body == before


async def test_a_reply_is_one_json_document_if_only_json_is_accepted(
    echo_client: NativeClient,
) -> None:
    answer = await echo_client.post("/api/chat", {"message": "Whole"}, **JSON)

    reply = answer.document
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert set(reply) == {
        "sessionId",
        "restarted",
        "turnId",
        "reply",
        "usage",
        "messagesSeen",
        "messagesTotal",
        "expiresAt",
    }
    assert reply["restarted"] is False
    assert (reply["reply"]["role"], reply["reply"]["content"]) == ("assistant", "Whole ")
    assert reply["reply"]["parts"] == [{"type": "text", "text": "Whole "}]
    assert reply["usage"] == {"inputTokens": 7, "outputTokens": 3}
    assert retention_left(reply) > RETENTION - timedelta(minutes=1)


async def test_a_new_session_begins_with_the_welcome(echo_client: NativeClient) -> None:
    answer = await echo_client.post("/api/sessions", {})

    opened = answer.document
    assert answer.status == 201
    assert retention_left(opened) <= timedelta(hours=1)
    assert await echo_client.transcript(opened["sessionId"]) == [("assistant", opened["welcome"])]


async def test_the_first_message_extends_a_new_session_to_the_full_retention(
    echo_client: NativeClient,
) -> None:
    opened = (await echo_client.post("/api/sessions", {})).document

    reply = await echo_client.send_for_document("Thank you", opened["sessionId"])

    assert (reply["sessionId"], reply["restarted"]) == (opened["sessionId"], False)
    assert retention_left(reply) > RETENTION - timedelta(minutes=1)
    assert len(await echo_client.transcript(opened["sessionId"])) == 3


async def test_a_stream_has_only_events_that_clients_know(echo_client: NativeClient) -> None:
    answer = await echo_client.send("Hi")

    assert kinds(answer.events) == [
        "session-id",
        "start",
        "start-step",
        "text-start",
        "text-delta",
        "text-end",
        "finish-step",
        "finish",
        "[DONE]",
        "metadata-info",
    ]
