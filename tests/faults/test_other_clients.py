"""A process is killed mid-stream, for clients with the AI SDK's protocol and OpenAI's."""

import json
from typing import Any

from tests.support.event_stream import text_of
from tests.support.fleet import Fleet
from tests.support.http_client import Answer, Client
from tests.support.instructed_model import instruction, reply_to
from tests.support.native_client import NativeClient, eventually
from tests.support.v1_client import V1Client

READ_PIECES = 30
LAST_BATCH = 10
"""More pieces than are sent within a tenth of a second."""
MESSAGE = instruction("dead", 500, 20)
HEADERS = {"idempotency_key": "once", "content_type": "application/json"}
AI_SDK_BODY: dict[str, Any] = {
    "id": "mine",
    "messages": [{"id": "u1", "role": "user", "parts": [{"type": "text", "text": MESSAGE}]}],
}


async def killed_mid_stream(fleet: Fleet, client: type[Client], path: str, body: Any) -> Client:
    """A client of another process with the same key, after the responding process was killed."""
    survivor, victim = await fleet.start(), await fleet.start()
    issued = await NativeClient(survivor.url).post("/api/client-key", {})
    client_key = issued.document["clientKey"]
    first = client(victim.url, authorization=f"Bearer {client_key}")
    async with first.open("POST", path, json.dumps(body).encode(), **HEADERS) as live:
        while f"dead.{READ_PIECES} " not in (await live.event()).data:
            pass
        victim.kill()
    return client(survivor.url, authorization=f"Bearer {client_key}")


def is_stored(text: str) -> bool:
    return reply_to("dead", 500).startswith(text) and len(text.split()) >= READ_PIECES - LAST_BATCH


async def test_the_ai_sdk_gets_the_stored_pieces_when_it_retries(fleet: Fleet) -> None:
    client = await killed_mid_stream(fleet, NativeClient, "/api/chat", AI_SDK_BODY)
    answers: list[Answer] = []

    async def is_settled() -> bool:
        answers.append(await client.post("/api/chat", AI_SDK_BODY, **HEADERS))
        return answers[-1].clean and '"abort"' in answers[-1].events[-2].data

    await eventually(is_settled)
    history = (await client.get("/api/chat/mine")).document

    assert is_stored(text_of(answers[-1].events))
    assert [message["role"] for message in history["messages"]] == ["user", "assistant"]
    assert is_stored(history["messages"][-1]["parts"][-1]["text"])
    assert fleet.model.requests == {"dead": 1}


async def test_openais_client_gets_the_stored_pieces_when_it_retries(fleet: Fleet) -> None:
    body = {"input": MESSAGE, "stream": True}
    client = await killed_mid_stream(fleet, V1Client, "/v1/responses", body)
    answers: list[Answer] = []

    async def is_settled() -> bool:
        answers.append(await client.post("/v1/responses", body, **HEADERS))
        return answers[-1].clean and '"response.incomplete"' in answers[-1].events[-2].data

    await eventually(is_settled)
    response = answers[-1].events[-2].document["response"]

    assert is_stored(response["output"][0]["content"][0]["text"])
    assert fleet.model.requests == {"dead": 1}


async def test_whoever_reads_a_dead_turn_sees_that_it_has_ended(fleet: Fleet) -> None:
    client = await killed_mid_stream(fleet, NativeClient, "/api/chat", AI_SDK_BODY)
    session_id = (await client.get("/api/chat/mine")).document["sessionId"]
    response = f"/v1/responses/resp_{session_id.replace('-', '')}00000001"
    polled: list[dict[str, Any]] = []

    async def has_ended() -> bool:
        polled.append((await client.get(response)).document)
        return bool(polled[-1]["status"] != "in_progress")

    await eventually(has_ended)
    history = (await client.get("/api/chat/mine")).document
    native = (await client.get(f"/api/chat?sessionId={session_id}")).document

    assert is_stored(polled[-1]["output"][0]["content"][0]["text"])
    assert history["activeStreamId"] is None
    assert history["messages"][-1]["metadata"]["aborted"] is True
    assert (native["turn"]["status"], native["turn"]["error"]) == ("interrupted", None)
    assert (await client.get("/api/chat/mine/stream")).status == 204
    assert fleet.model.requests == {"dead": 1}
