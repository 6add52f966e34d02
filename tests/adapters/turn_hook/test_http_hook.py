"""The hook over HTTP: what is sent, what is understood, and how each failure is reported."""

import hashlib
import hmac
from base64 import b64encode

from domain.model.message import Role
from domain.model.preparation import NOTHING_PREPARED, Preparation, TurnKind, Utterance
from domain.model.prompt import Passage
from tests.support.clocks import HastyClock
from tests.support.hook_server import (
    KEY,
    a_question,
    a_response,
    an_answer,
    fake_hook,
    hook_at,
)


async def test_the_question_is_sent_as_json_with_every_member() -> None:
    question = a_question(
        turn=3,
        kind=TurnKind.TOOL_RESULTS,
        images=2,
        page_context='{"page": [1]}',
        earlier=(Utterance(role=Role.USER, text="a"), Utterance(role=Role.ASSISTANT, text="b")),
        summary="c",
        state="17",
    )
    async with fake_hook() as hook, hook_at(hook.url) as adapter:
        await adapter.prepare(question)
    [request] = hook.requests

    assert request.line == "POST /prepare HTTP/1.1"
    assert request.headers["host"] == f"127.0.0.1:{hook.port}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["accept-encoding"] == "identity"
    assert request.json == {
        "turnId": "0" * 32,
        "conversation": "digest",
        "turn": 3,
        "kind": "tool-results",
        "locale": "de",
        "message": {"text": "Wann wird gewählt?", "images": 2},
        "pageContext": {"page": [1]},
        "messages": [{"role": "user", "text": "a"}, {"role": "assistant", "text": "b"}],
        "summary": "c",
        "state": 17,
    }


async def test_what_there_is_not_is_null() -> None:
    async with fake_hook() as hook, hook_at(hook.url) as adapter:
        await adapter.prepare(a_question())
    [request] = hook.requests

    assert (request.json["pageContext"], request.json["summary"]) == (None, None)
    assert (request.json["messages"], request.json["state"]) == ([], None)


async def test_a_request_is_signed_with_each_key() -> None:
    keys = (KEY, b"k" * 32)
    clock = HastyClock()
    async with fake_hook() as hook, hook_at(hook.url, keys=keys, clock=clock) as adapter:
        await adapter.prepare(a_question())
    [request] = hook.requests

    assert request.headers["webhook-id"] == "0" * 32
    timestamp = request.headers["webhook-timestamp"]
    assert abs(int(timestamp) - clock.now().timestamp()) < 60
    signed = f"{'0' * 32}.{timestamp}.".encode() + request.body
    assert request.headers["webhook-signature"].split() == [
        "v1," + b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() for key in keys
    ]


async def test_an_answer_is_understood() -> None:
    answer = an_answer(
        instructions="Be brief.",
        passages=[{"title": "T", "text": "x", "url": "https://a.test/"}],
        state={"phase": 2},
    )
    async with fake_hook(answer) as hook, hook_at(hook.url) as adapter:
        preparation = await adapter.prepare(a_question())

    assert preparation == Preparation(
        instructions="Be brief.",
        passages=(Passage(title="T", text="x", url="https://a.test/"),),
        changes_state=True,
        state='{"phase":2}',
    )


async def test_no_content_prepares_nothing() -> None:
    async with fake_hook(a_response(204)) as hook, hook_at(hook.url) as adapter:
        assert await adapter.prepare(a_question()) == NOTHING_PREPARED


async def test_a_connection_is_used_again() -> None:
    async with fake_hook(an_answer(), an_answer()) as hook, hook_at(hook.url) as adapter:
        for _ in range(3):
            await adapter.prepare(a_question())

    assert (len(hook.requests), hook.connections) == (3, 1)
