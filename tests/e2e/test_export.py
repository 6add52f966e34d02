"""An export is one document with everything that is stored."""

from datetime import datetime

from domain.model.piece import ReasoningPiece, ToolCallPiece
from tests.support.fake_model import FakeModel
from tests.support.http_client import Answer
from tests.support.native_client import NativeClient, eventually


async def exported(client: NativeClient, session_id: str) -> Answer:
    answer = await client.get(f"/api/chat/{session_id}/export")
    assert answer.status == 200, answer.body
    return answer


async def test_an_export_is_one_document_to_save_as_a_file(echo_client: NativeClient) -> None:
    session_id = (await echo_client.send("Hi")).session_id

    answer = await exported(echo_client, session_id)

    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-disposition"] == 'attachment; filename="conversation.json"'
    assert set(answer.document) == {
        *("format", "sessionId", "createdAt", "expiresAt", "locale", "metadata", "summary"),
        *("carriedSummary", "summarizedUntil", "workingMemoryFrom", "promptName"),
        *("hookState", "turn", "messages"),
    }


async def test_an_export_holds_every_part_of_a_reply(
    client: NativeClient, fake_model: FakeModel
) -> None:
    async with client.streaming("Count", context={"page": "start"}) as live:
        session_id = (await live.event()).document["sessionId"]
        model_reply = await fake_model.next_reply()
        model_reply.send(ReasoningPiece("Hm"))
        model_reply.send_text("Well")
        model_reply.send(ToolCallPiece(call_id="c1", name="count", arguments='{"n":1}'))
        model_reply.finish()
        await live.whole()

    export = (await exported(client, session_id)).document
    question, reply = export["messages"]
    assert (question["pageContext"], reply["pageContext"]) == ({"page": "start"}, None)
    assert question["parts"] == [{"type": "text", "text": "Count"}]
    assert [part["type"] for part in reply["parts"]] == ["reasoning", "text", "tool-call"]
    assert [part.get("text") for part in reply["parts"]] == ["Hm", "Well", None]
    assert reply["usage"] == {"inputTokens": 7, "outputTokens": 3}
    assert (reply["finishReason"], reply["status"]) == ("stop", "finished")


async def test_an_export_is_never_paged(echo_client: NativeClient) -> None:
    session_id = (await echo_client.send("0")).session_id
    for number in range(1, 51):
        await echo_client.send(str(number), session_id)

    messages = (await exported(echo_client, session_id)).document["messages"]

    assert [message["number"] for message in messages] == list(range(1, 103))
    questions = [message["parts"][0]["text"] for message in messages if message["role"] == "user"]
    assert questions == [str(number) for number in range(51)]


async def test_an_export_names_what_failed(client: NativeClient, fake_model: FakeModel) -> None:
    async with client.streaming("Hello?") as live:
        session_id = (await live.event()).document["sessionId"]
        model_reply = await fake_model.next_reply()
        model_reply.send_text("Hel")
        await live.until("text-delta")
        model_reply.fail()
        await eventually(lambda: client.has_ended(session_id))

    export = (await exported(client, session_id)).document
    assert (export["turn"]["status"], export["turn"]["error"]) == ("failed", "model_failed")
    assert export["messages"][-1]["status"] == "failed"
    assert export["messages"][-1]["parts"] == [{"type": "text", "text": "Hel"}]


async def test_an_export_does_not_extend_the_retention(echo_client: NativeClient) -> None:
    session_id = (await echo_client.send("Hi")).session_id
    before = (await echo_client.history(session_id)).document["expiresAt"]

    export = (await exported(echo_client, session_id)).document

    assert export["expiresAt"] == before
    assert (await echo_client.history(session_id)).document["expiresAt"] == before
    assert datetime.fromisoformat(export["createdAt"]) < datetime.fromisoformat(before)
