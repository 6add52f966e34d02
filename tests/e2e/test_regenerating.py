"""Another answer, also to a message said anew."""

from uuid import uuid4

from tests.support.event_stream import text_of
from tests.support.native_client import Person


async def test_another_answer_takes_the_place_of_the_last(visitor: Person) -> None:
    session_id = (await visitor.say("One")).session_id
    before = (await visitor.history(session_id)).document["messages"]

    again = await visitor.post(f"/api/chat/{session_id}/regenerate", {})

    after = (await visitor.history(session_id)).document["messages"]
    assert text_of(again.events) == "One "
    assert [said["content"] for said in after] == ["One", "One "]
    assert after[0] == before[0]
    assert after[1]["id"] != before[1]["id"]


async def test_an_older_reply_is_replaced_with_all_that_followed(visitor: Person) -> None:
    session_id = (await visitor.say("One")).session_id
    await visitor.say("Two", session_id)
    older = (await visitor.history(session_id)).document["messages"][1]["id"]

    await visitor.post(f"/api/chat/{session_id}/regenerate", {"messageId": older})

    assert await visitor.said(session_id) == [("user", "One"), ("assistant", "One ")]


async def test_a_message_said_anew_replaces_all_that_followed(visitor: Person) -> None:
    session_id = (await visitor.say("Onne")).session_id
    await visitor.say("Two", session_id)
    typo = (await visitor.history(session_id)).document["messages"][0]["id"]

    body = {"messageId": typo, "message": "One"}
    await visitor.post(f"/api/chat/{session_id}/regenerate", body)

    assert await visitor.said(session_id) == [("user", "One"), ("assistant", "One ")]


async def test_the_newest_message_is_said_anew_without_a_name(visitor: Person) -> None:
    session_id = (await visitor.say("One")).session_id
    await visitor.say("Tow", session_id)

    await visitor.post(f"/api/chat/{session_id}/regenerate", {"message": "Two"})

    said = [text for _, text in await visitor.said(session_id)]
    assert said == ["One", "One ", "Two", "One / Two "]


async def test_there_is_no_other_answer_to_what_is_not_there(visitor: Person) -> None:
    opened = (await visitor.post("/api/sessions", {})).document["sessionId"]
    welcome = (await visitor.history(opened)).document["messages"][0]["id"]

    async def again(session_id: str, **body: str) -> tuple[int, str]:
        answer = await visitor.post(f"/api/chat/{session_id}/regenerate", body)
        return answer.status, answer.code

    assert await again(str(uuid4())) == (404, "conversation_not_found")
    assert await again(opened) == (409, "nothing_to_answer")
    assert await again(opened, messageId=welcome) == (409, "nothing_to_answer")
    assert await again(opened, messageId=welcome, message="Me") == (404, "message_not_found")
    assert await again(opened, messageId="nobody") == (404, "message_not_found")
