"""Who may use ``/v1``, and for whom an app server may speak. Over a real server."""

import hashlib
from typing import Final

import pytest

from tests.support.fleet import Fleet
from tests.support.http_client import JSON
from tests.support.instructed_model import instruction
from tests.support.native_client import NativeClient, message_body
from tests.support.processes import ServerProcess, run_cli_in_process
from tests.support.redis_store import RING
from tests.support.v1_client import V1Client, error_of

SAY_HI: Final = instruction("hi", 1)
ON: Final = {"PRIVITY_LIMITS": "on", "PRIVITY_V1": "", "PRIVITY_NEW_PER_HOUR": ""}


def issued_key() -> str:
    return run_cli_in_process("new-client-key", PRIVITY_KEYS=RING).out.strip()


async def fetched_key(process: ServerProcess) -> str:
    answer = await NativeClient(process.url).post("/api/client-key", {})
    return str(answer.document["clientKey"])


def app_server(process: ServerProcess, key: str) -> V1Client:
    return V1Client(process.url, authorization=f"Bearer {key}")


async def test_v1_takes_no_key_that_anybody_can_fetch(fleet: Fleet) -> None:
    process = await fleet.start(**ON)
    key = await fetched_key(process)
    native = NativeClient(process.url, authorization=f"Bearer {key}")
    answered = await native.post("/api/chat", message_body(SAY_HI), **JSON)
    refused = await app_server(process, key).ask(SAY_HI)
    models = await app_server(process, key).get("/v1/models")

    assert answered.status == 200
    assert (refused.status, error_of(refused)["code"]) == (403, "client_key_not_allowed")
    assert "privity new-client-key" in error_of(refused)["message"]
    assert models.status == 403


async def test_v1_takes_keys_that_the_operator_issued_but_not_as_a_cookie(fleet: Fleet) -> None:
    process, key = await fleet.start(**ON), issued_key()
    browser = NativeClient(process.url)
    browser.cookie = f"privity={key}"
    with_cookie = await browser.post("/v1/responses", {"input": SAY_HI})
    answered = await app_server(process, key).ask(SAY_HI)

    assert with_cookie.status == 401
    assert answered.status == 200


async def test_the_operator_can_open_v1_to_everybody(fleet: Fleet) -> None:
    process = await fleet.start(**{**ON, "PRIVITY_V1": "open"})
    answered = await app_server(process, await fetched_key(process)).ask(SAY_HI)
    process.terminate()
    ended = await process.wait()

    assert answered.status == 200
    assert "PRIVITY_V1 is open" in ended.out


async def test_the_121st_visitor_of_an_app_server_is_welcome(fleet: Fleet) -> None:
    process, key = await fleet.start(**ON), issued_key()
    server = NativeClient(process.url, authorization=f"Bearer {key}")
    visits = [
        (await server.post("/api/sessions", {}, privity_on_behalf_of=f"visitor-{number}")).status
        for number in range(121)
    ]
    one_visitor = [
        await server.post("/api/sessions", {}, privity_on_behalf_of="visitor-1") for _ in range(31)
    ]
    strangers = [(await NativeClient(process.url).post("/api/sessions", {})).status]

    assert visits == [201] * 121
    assert one_visitor[-1].code == "too_many_requests"
    assert one_visitor[-1].headers["ratelimit-policy"] == '"new-client-key";q=30;w=3600'
    assert strangers == [201]


async def test_a_key_on_the_operators_list_may_speak_for_many_too(fleet: Fleet) -> None:
    older = await fleet.start(**ON)
    key = await fetched_key(older)
    digest = hashlib.sha256(key[:45].encode()).hexdigest()
    process = await fleet.start(**{**ON, "PRIVITY_API_KEY_DIGESTS": digest})
    listed = app_server(process, key)
    answers = [
        await listed.ask(SAY_HI, store=False),
        await listed.post("/v1/responses", {"input": SAY_HI}, privity_on_behalf_of="a"),
        await app_server(process, issued_key()).ask(SAY_HI),
    ]

    assert [answer.status for answer in answers] == [200, 200, 403]


async def test_idempotency_keys_of_two_people_are_separate(fleet: Fleet) -> None:
    process = await fleet.start(**ON)
    server = NativeClient(process.url, authorization=f"Bearer {issued_key()}")
    repeated = {**JSON, "idempotency_key": "1"}
    first, again, other = [
        await server.post("/api/chat", {"message": SAY_HI}, **repeated, privity_on_behalf_of=person)
        for person in ("alice", "alice", "bob")
    ]

    assert [first.status, again.status, other.status] == [200] * 3
    assert first.document["sessionId"] == again.document["sessionId"]
    assert first.document["sessionId"] != other.document["sessionId"]


@pytest.mark.parametrize("name", ["", "two words", "\xe4", "x" * 257])
async def test_a_malformed_person_is_refused(fleet: Fleet, name: str) -> None:
    process = await fleet.start(**ON)
    server = NativeClient(process.url, authorization=f"Bearer {issued_key()}")
    refused = await server.post("/api/sessions", {}, privity_on_behalf_of=name)

    assert (refused.status, refused.code) == (400, "on_behalf_of_malformed")


async def test_nobody_else_may_speak_for_other_people(fleet: Fleet) -> None:
    process = await fleet.start(**ON)
    ordinary = NativeClient(process.url, authorization=f"Bearer {await fetched_key(process)}")
    answers = [
        await caller.post("/api/sessions", {}, privity_on_behalf_of="somebody")
        for caller in (ordinary, NativeClient(process.url))
    ]

    assert [(answer.status, answer.code) for answer in answers] == [
        (403, "client_key_not_allowed")
    ] * 2
    assert not any("set-cookie" in answer.headers for answer in answers)
