"""Hooks over HTTP that fail in every way, with a whole service in front of them."""

import json
from datetime import timedelta

import pytest
from attrs import evolve

from adapters.language_model.scripted import ScriptedModel
from entrypoints.settings import Settings
from tests.support.clocks import HastyClock
from tests.support.hook_server import (
    KEY,
    LONG,
    Planned,
    a_response,
    an_answer,
    fake_hook,
)
from tests.support.native_client import NativeClient
from tests.support.redis_servers import free_port
from tests.support.service import UNLIMITED, running_service

JSON_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
SCRIPT = "Privity's built-in script"
SOON = timedelta(seconds=0.3)
PATIENCE = timedelta(seconds=2)
"""Long enough for the answer after a failure, even on a busy machine."""
FAULTS = {
    "refuses": (a_response(401), LONG, "hook_unavailable"),
    "fails": (a_response(500), LONG, "hook_unavailable"),
    "is-busy": (a_response(503), LONG, "hook_unavailable"),
    "redirects": (a_response(307, location="http://127.0.0.1:1/"), LONG, "hook_unavailable"),
    "closes": (Planned(closes=True), LONG, "hook_unavailable"),
    "is-not-http": (Planned(raw=b"SSH-2.0-x\r\n", closes=True), LONG, "hook_unavailable"),
    "is-silent": (Planned(hangs=True), PATIENCE, "hook_timeout"),
    "stops-in-its-answer": (
        Planned(raw=JSON_HEAD + b'content-length: 99\r\n\r\n{"', hangs=True),
        PATIENCE,
        "hook_timeout",
    ),
    "answers-html": (
        a_response(200, b"<p>planted", content_type="text/html"),
        LONG,
        "hook_answer_invalid",
    ),
    "answers-no-json": (a_response(200, b"planted"), LONG, "hook_answer_invalid"),
    "answers-a-wrong-field": (an_answer(planted="planted"), LONG, "hook_answer_invalid"),
    "answers-without-end": (
        Planned(raw=JSON_HEAD + b"\r\n" + b" " * 1_200_000, hangs=True),
        LONG,
        "hook_answer_invalid",
    ),
}


def settings_for(url: str, *, is_required: bool, within: timedelta = LONG) -> Settings:
    return evolve(
        UNLIMITED,
        hook_url=url,
        hook_keys=(KEY,),
        hook_is_required=is_required,
        hook_timeout=within,
    )


def a_model() -> ScriptedModel:
    return ScriptedModel(clock=HastyClock(), pause=timedelta())


@pytest.mark.parametrize("fault", sorted(FAULTS))
async def test_a_required_hook_that_fails_fails_the_turn_which_can_be_sent_again(
    fault: str,
) -> None:
    planned, within, code = FAULTS[fault]
    retried = [planned] * (2 if fault == "is-busy" else 1)
    async with fake_hook(*retried, an_answer(reply="At last.")) as hook:
        settings = settings_for(hook.url, is_required=True, within=within)
        async with running_service(settings, model=a_model()) as service:
            client = NativeClient(service.url)
            await client.get_key()
            failed = await client.post(
                "/api/chat", {"message": "Hi"}, accept="application/json", idempotency_key="k"
            )
            again = await client.post(
                "/api/chat", {"message": "Hi"}, accept="application/json", idempotency_key="k"
            )

    assert (failed.status, failed.document["code"]) == (
        504 if code == "hook_timeout" else 502,
        code,
    )
    assert b"planted" not in failed.body
    assert b"At last." in again.body


@pytest.mark.parametrize("fault", sorted(FAULTS))
async def test_without_a_hook_that_is_not_required_the_model_replies(fault: str) -> None:
    planned, within, _ = FAULTS[fault]
    within = SOON if within is PATIENCE else within
    async with fake_hook(planned, planned) as hook:
        settings = settings_for(hook.url, is_required=False, within=within)
        async with running_service(settings, model=a_model()) as service:
            answer = await NativeClient(service.url).send_for_document("Hi")

    assert SCRIPT in json.dumps(answer)


@pytest.mark.parametrize("is_required", [True, False])
async def test_a_hook_that_is_away_is_no_other_failure(
    is_required: bool,  # noqa: FBT001 - a parameter
) -> None:
    settings = settings_for(f"http://127.0.0.1:{free_port()}/", is_required=is_required)
    async with running_service(settings, model=a_model()) as service:
        answer = await NativeClient(service.url).send("Hi")

    assert (b"hook_unavailable" in answer.body) is is_required
    assert (SCRIPT.split(maxsplit=1)[0].encode() in answer.body) is not is_required


async def test_stopping_a_turn_closes_the_connection_to_the_hook() -> None:
    async with fake_hook(Planned(hangs=True)) as hook:
        settings = settings_for(hook.url, is_required=True)
        async with running_service(settings, model=a_model()) as service:
            client = NativeClient(service.url)
            async with client.streaming("Hi") as live:
                await hook.until(requests=1)
                session_id = live.headers["x-session-id"]
                await client.stop(session_id)
                await hook.until(open_connections=0)
