"""Regenerating replies, and editing messages."""

from uuid import uuid4

from tests.support.event_stream import text_of
from tests.support.native_client import NativeClient


async def test_regenerating_replaces_the_last_reply(echo_client: NativeClient) -> None:
    session_id = (await echo_client.send("One")).session_id
    before = (await echo_client.history(session_id)).document["messages"]

    again = await echo_client.post(f"/api/chat/{session_id}/regenerate", {})

    after = (await echo_client.history(session_id)).document["messages"]
    assert text_of(again.events) == "One "
    assert [message["content"] for message in after] == ["One", "One "]
    assert after[0] == before[0]
    assert after[1]["id"] != before[1]["id"]


async def test_regenerating_an_older_reply_replaces_it_and_what_followed(
    echo_client: NativeClient,
) -> None:
    session_id = (await echo_client.send("One")).session_id
    await echo_client.send("Two", session_id)
    older = (await echo_client.history(session_id)).document["messages"][1]["id"]

    await echo_client.post(f"/api/chat/{session_id}/regenerate", {"messageId": older})

    assert await echo_client.transcript(session_id) == [("user", "One"), ("assistant", "One ")]


async def test_an_edited_message_replaces_all_that_followed(echo_client: NativeClient) -> None:
    session_id = (await echo_client.send("Onne")).session_id
    await echo_client.send("Two", session_id)
    typo = (await echo_client.history(session_id)).document["messages"][0]["id"]

    body = {"messageId": typo, "message": "One"}
    await echo_client.post(f"/api/chat/{session_id}/regenerate", body)

    assert await echo_client.transcript(session_id) == [("user", "One"), ("assistant", "One ")]


async def test_the_newest_message_can_be_edited_without_its_id(echo_client: NativeClient) -> None:
    session_id = (await echo_client.send("One")).session_id
    await echo_client.send("Tow", session_id)

    await echo_client.post(f"/api/chat/{session_id}/regenerate", {"message": "Two"})

    texts = [text for _, text in await echo_client.transcript(session_id)]
    assert texts == ["One", "One ", "Two", "One / Two "]


async def test_an_unknown_message_cannot_be_regenerated(echo_client: NativeClient) -> None:
    opened = (await echo_client.post("/api/sessions", {})).document["sessionId"]
    welcome = (await echo_client.history(opened)).document["messages"][0]["id"]

    async def again(session_id: str, **body: str) -> tuple[int, str]:
        answer = await echo_client.post(f"/api/chat/{session_id}/regenerate", body)
        return answer.status, answer.code

    assert await again(str(uuid4())) == (404, "conversation_not_found")
    assert await again(opened) == (409, "nothing_to_answer")
    assert await again(opened, messageId=welcome) == (409, "nothing_to_answer")
    assert await again(opened, messageId=welcome, message="Me") == (404, "message_not_found")
    assert await again(opened, messageId="unknown") == (404, "message_not_found")
