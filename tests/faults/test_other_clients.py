"""Row: our process is killed mid-stream, for those who speak the AI SDK's protocol or OpenAI's."""

import json
from typing import Any

from tests.support.event_stream import text_of
from tests.support.fleet import Fleet
from tests.support.http_client import Answer, Client
from tests.support.native_client import NativeClient, eventually
from tests.support.ordered_model import an_order, told
from tests.support.v1_client import V1Client

SLOWLY = 30
LAST_BATCH = 10
"""More pieces than leave within a tenth of a second."""
ORDER = an_order("dead", 500, 20)
ONCE = {"idempotency_key": "once", "content_type": "application/json"}
SAID: dict[str, Any] = {
    "id": "mine",
    "messages": [{"id": "u1", "role": "user", "parts": [{"type": "text", "text": ORDER}]}],
}


async def killed_mid_stream(fleet: Fleet, client: type[Client], path: str, body: Any) -> Client:
    """Somebody at another process, after the one that answered was killed."""
    survivor, victim = await fleet.one(), await fleet.one()
    bearer = (await NativeClient(survivor.url).post("/api/client-key", {})).document["clientKey"]
    met = client(victim.url, authorization=f"Bearer {bearer}")
    async with met.open("POST", path, json.dumps(body).encode(), **ONCE) as live:
        while f"dead.{SLOWLY} " not in (await live.event()).data:
            pass
        victim.kill()
    return client(survivor.url, authorization=f"Bearer {bearer}")


def is_kept(text: str) -> bool:
    return told("dead", 500).startswith(text) and len(text.split()) >= SLOWLY - LAST_BATCH


async def test_the_ai_sdk_is_told_what_was_kept_when_it_sends_again(fleet: Fleet) -> None:
    client = await killed_mid_stream(fleet, NativeClient, "/api/chat", SAID)
    answers: list[Answer] = []

    async def has_been_settled() -> bool:
        answers.append(await client.post("/api/chat", SAID, **ONCE))
        return answers[-1].clean and '"abort"' in answers[-1].events[-2].data

    await eventually(has_been_settled)
    history = (await client.get("/api/chat/mine")).document

    assert is_kept(text_of(answers[-1].events))
    assert [said["role"] for said in history["messages"]] == ["user", "assistant"]
    assert is_kept(history["messages"][-1]["parts"][-1]["text"])
    assert fleet.ordered_model.asked == {"dead": 1}


async def test_openais_client_is_told_what_was_kept_when_it_sends_again(fleet: Fleet) -> None:
    body = {"input": ORDER, "stream": True}
    program = await killed_mid_stream(fleet, V1Client, "/v1/responses", body)
    answers: list[Answer] = []

    async def has_been_settled() -> bool:
        answers.append(await program.post("/v1/responses", body, **ONCE))
        return answers[-1].clean and '"response.incomplete"' in answers[-1].events[-2].data

    await eventually(has_been_settled)
    response = answers[-1].events[-2].document["response"]

    assert is_kept(response["output"][0]["content"][0]["text"])
    assert fleet.ordered_model.asked == {"dead": 1}
