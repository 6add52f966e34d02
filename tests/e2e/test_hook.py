"""A hook of the operator, over HTTP, from the setting to the answer."""

import json

import pytest

from tests.support.hook_server import (
    SECRET,
    FakeHook,
    Planned,
    a_response,
    an_answer,
    fake_hook,
)
from tests.support.http_client import JSON
from tests.support.native_client import NativeClient, message_body
from tests.support.processes import serving
from tests.support.v1_client import V1Client

CANARY = "the-heron-sleeps-standing"
URL = f"https://{CANARY}.example/"
PASSAGE = {"title": CANARY, "text": CANARY, "url": URL}
TOOL = {"name": "look", "description": CANARY, "parameters": {"type": "object"}}


def hook_settings(hook: FakeHook, **settings: str) -> dict[str, str]:
    return {"PRIVITY_HOOK_URL": hook.url, "PRIVITY_HOOK_SECRET": SECRET, **settings}


async def test_the_hook_gets_its_state_back_and_its_passages_become_sources() -> None:
    answer = an_answer(instructions="Be kind.", passages=[PASSAGE], state={"phase": 2})
    async with (
        fake_hook(answer, skips_checks=True) as hook,
        serving(**hook_settings(hook)) as server,
    ):
        client = NativeClient(server.url)
        first = await client.send_for_document("Hello?", context={"page": 1})
        second = await client.send_for_document("And now?", first["sessionId"])

    one, other = (request.json for request in hook.requests)
    assert first["reply"]["sources"] == [
        {"id": "s1", "title": CANARY, "url": URL, "excerpt": CANARY}
    ]
    assert "sources" not in second["reply"]
    assert (one["state"], other["state"]) == (None, {"phase": 2})
    assert (one["turn"], other["turn"]) == (1, 2)
    assert (one["pageContext"], other["pageContext"]) == ({"page": 1}, None)
    assert one["conversation"] == other["conversation"]
    assert first["sessionId"] not in json.dumps(one)


async def test_the_hook_can_write_the_reply() -> None:
    async with (
        fake_hook(an_answer(reply="Welcome."), skips_checks=True) as hook,
        serving(**hook_settings(hook)) as server,
    ):
        document = await NativeClient(server.url).send_for_document("Hello?")

    assert document["reply"]["parts"] == [{"type": "text", "text": "Welcome."}]


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (a_response(500), 502, "hook_unavailable"),
        (an_answer(other=CANARY), 502, "hook_answer_invalid"),
    ],
)
async def test_a_failure_is_a_problem_and_the_message_can_be_sent_again(
    failure: Planned, status: int, code: str
) -> None:
    async with (
        fake_hook(failure, skips_checks=True) as hook,
        serving(**hook_settings(hook)) as server,
    ):
        client = NativeClient(server.url)
        body = message_body("Hello?", None, {})
        failed = await client.post("/api/chat", body, **JSON, idempotency_key="one")
        again = await client.post("/api/chat", body, **JSON, idempotency_key="one")

    assert (failed.status, failed.document["code"]) == (status, code)
    assert CANARY not in failed.body.decode()
    assert again.status == 200


async def test_a_hook_that_is_not_required_may_fail() -> None:
    async with (
        fake_hook(a_response(500), skips_checks=True) as hook,
        serving(**hook_settings(hook, PRIVITY_HOOK_FAILURE="continue")) as server,
    ):
        document = await NativeClient(server.url).send_for_document("Hello?")

    assert document["reply"]["parts"]


async def test_nothing_of_the_hook_is_logged() -> None:
    planned = [
        an_answer(
            instructions=CANARY, passages=[PASSAGE], tools=[TOOL], state=CANARY, reply=CANARY
        ),
        a_response(500, CANARY.encode()),
        an_answer(passages=[{**PASSAGE, "url": CANARY}]),
        an_answer(options={"temperature": CANARY}),
        a_response(200, f'{{"reply": "{CANARY}'.encode()),
        a_response(302, b"", location=URL),
        an_answer(reply=CANARY),
    ]
    async with (
        fake_hook(*planned, skips_checks=True) as hook,
        serving(**hook_settings(hook, PRIVITY_LOG_LEVEL="debug", PRIVITY_V1="open")) as server,
    ):
        client = NativeClient(server.url)
        good, *failed = [await client.send(CANARY, context=CANARY) for _ in planned[:-1]]
        client_key = (await client.post("/api/client-key", {})).document["clientKey"]
        program = V1Client(server.url, authorization=f"Bearer {client_key}")
        response = await program.ask(CANARY, store=False)
        server.terminate()
        ended = await server.wait()

    logged = ended.out + ended.err
    assert CANARY in good.body.decode()
    assert CANARY in response.body.decode()
    assert logged.count('"event": "turn.failed"') == len(failed)
    assert '"event": "hook.failed"' in logged
    assert '"field": "passages[0].url"' in logged
    assert [text for text in (CANARY, SECRET, client_key) if text in logged] == []
    assert [answer for answer in failed if CANARY in answer.body.decode()] == []
    assert len(hook.requests) == len(planned)
