"""Reading and exporting a conversation."""

from datetime import datetime, timedelta

import pytest

from tests.support.native_client import NativeClient, retention_left


async def test_the_history_shows_all_messages(echo_client: NativeClient) -> None:
    session_id = (await echo_client.send("One")).session_id
    await echo_client.send("Two", session_id)

    assert await echo_client.transcript(session_id) == [
        ("user", "One"),
        ("assistant", "One "),
        ("user", "Two"),
        ("assistant", "One / Two "),
    ]


async def test_the_history_has_parts_times_the_turn_and_the_expiry(
    echo_client: NativeClient,
) -> None:
    answer = await echo_client.send("One")

    history = (await echo_client.history(answer.session_id)).document
    reply = history["messages"][-1]
    start = answer.events[1].document
    assert history["sessionId"] == answer.session_id
    assert reply["parts"] == [{"type": "text", "text": "One "}]
    assert (reply["id"], reply["status"]) == (start["messageId"], "finished")
    assert datetime.fromisoformat(reply["createdAt"]).utcoffset() == timedelta(0)
    assert history["turn"]["id"] == start["messageMetadata"]["turnId"]
    assert (history["turn"]["status"], history["turn"]["error"]) == ("finished", None)
    assert timedelta(hours=23, minutes=59) < retention_left(history) <= timedelta(hours=24)
    assert history["next"] is None


async def test_an_export_contains_everything_stored(echo_client: NativeClient) -> None:
    context = {"page": "start", "deep": [1, None]}
    session_id = (await echo_client.send("Export me", locale="en", context=context)).session_id

    answer = await echo_client.get(f"/api/chat/{session_id}/export")

    export = answer.document
    assert "attachment" in answer.headers["content-disposition"]
    assert answer.headers["cache-control"] == "no-store"
    assert (export["format"], export["sessionId"]) == ("privity-export-1", session_id)
    assert [message["pageContext"] for message in export["messages"]] == [context, None]
    assert [message["parts"][0]["text"] for message in export["messages"]] == [
        "Export me",
        "Export me ",
    ]
    assert [message["number"] for message in export["messages"]] == [1, 2]
    assert (export["turn"]["number"], export["turn"]["status"]) == (1, "finished")


async def test_the_history_is_paged_backwards(echo_client: NativeClient) -> None:
    session_id = (await echo_client.send("One")).session_id
    for text in ("Two", "Three"):
        await echo_client.send(text, session_id)

    newest = (await echo_client.history(session_id, limit=4)).document
    oldest = (await echo_client.history(session_id, limit=4, before=newest["next"])).document

    read = [message["content"] for message in oldest["messages"] + newest["messages"]]
    assert read == ["One", "One ", "Two", "One / Two ", "Three", "One / Two / Three "]
    assert (len(newest["messages"]), oldest["next"]) == (4, None)


@pytest.mark.parametrize("path", ["/api/chat/{}/export", "/api/chat?sessionId={}"])
async def test_callers_without_a_key_find_nothing(echo_client: NativeClient, path: str) -> None:
    session_id = (await echo_client.send("Mine")).session_id

    answer = await NativeClient(echo_client.url).get(path.format(session_id))

    assert (answer.status, answer.code) == (404, "conversation_not_found")
    assert "set-cookie" not in answer.headers
