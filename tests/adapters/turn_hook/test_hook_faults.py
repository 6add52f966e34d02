"""What can go wrong with a hook over HTTP, and what becomes of it."""

import asyncio
import gzip
import ssl
from datetime import timedelta
from pathlib import Path

import pytest
import trustme
import uvloop

from domain.model.preparation import Preparation
from ports.turn_hook import (
    HookAnswerInvalid,
    HookError,
    HookFailure,
    HookTimedOut,
    HookUnavailable,
)
from tests.support.clocks import HastyClock
from tests.support.hook_server import (
    LONG,
    FakeHook,
    Planned,
    a_question,
    a_response,
    an_answer,
    fake_hook,
    hook_at,
)
from tests.support.odd_model_servers import odd_model_server
from tests.support.redis_servers import free_port

SHORT = timedelta(seconds=0.1)
JSON_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
CHUNKED = JSON_HEAD + b"transfer-encoding: chunked\r\n\r\n"
MEGABYTE = b"x" * 1_048_577


async def failure_at(url: str, *, within: timedelta = LONG) -> HookError:
    async with hook_at(url, within=within) as adapter:
        with pytest.raises(HookError) as failure:
            await adapter.prepare(a_question())
    return failure.value


async def test_a_refused_connection_is_reported_after_one_retry() -> None:
    port, clock = free_port(), HastyClock()
    before = clock.now()
    async with hook_at(f"http://127.0.0.1:{port}/", clock=clock) as adapter:
        with pytest.raises(HookUnavailable) as failure:
            await adapter.prepare(a_question())

    assert failure.value.details == HookFailure(host=f"127.0.0.1:{port}", reason="refused")
    assert clock.now() - before == timedelta(seconds=0.25)


async def test_a_host_without_an_address_is_reported() -> None:
    failure = await failure_at("http://hook.invalid/")

    assert isinstance(failure, HookUnavailable)
    assert failure.details == HookFailure(host="hook.invalid", reason="host-not-found")


async def test_a_hook_that_is_started_during_the_pause_gets_the_retry() -> None:
    port = free_port()
    hook = FakeHook([an_answer(instructions="Hi")], port=port)
    clock = _StartingClock(hook)
    try:
        async with hook_at(hook.url, clock=clock) as adapter:
            preparation = await adapter.prepare(a_question())
    finally:
        clock.server.close()

    assert preparation.instructions == "Hi"


class _StartingClock(HastyClock):
    """Starts the hook when somebody sleeps."""

    server: asyncio.Server

    def __init__(self, hook: FakeHook) -> None:
        super().__init__()
        self._hook = hook

    async def sleep(self, duration: timedelta) -> None:
        self.server = await asyncio.start_server(self._hook.serve, "127.0.0.1", self._hook.port)
        await super().sleep(duration)


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_gateway_failure_is_repeated_once_with_the_same_id(status: int) -> None:
    answers = a_response(status), an_answer(instructions="Hi")
    async with fake_hook(*answers) as hook, hook_at(hook.url) as adapter:
        preparation = await adapter.prepare(a_question())

    assert preparation.instructions == "Hi"
    assert [request.headers["webhook-id"] for request in hook.requests] == ["0" * 32] * 2


@pytest.mark.parametrize(
    ("status", "requests", "reason"),
    [
        (503, 2, None),
        (500, 1, None),
        (401, 1, None),
        (404, 1, None),
        (429, 1, None),
        (302, 1, "redirect"),
        (307, 1, "redirect"),
        (201, 1, None),
    ],
)
async def test_another_status_is_a_failure(status: int, requests: int, reason: str | None) -> None:
    answer = a_response(status, b'{"instructions": "planted"}', location="http://127.0.0.1:1/")
    async with fake_hook(answer, answer) as hook:
        failure = await failure_at(hook.url)

    assert isinstance(failure, HookUnavailable)
    host = f"127.0.0.1:{hook.port}"
    assert failure.details == HookFailure(host=host, status=status, reason=reason)
    assert len(hook.requests) == requests


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        CHUNKED,
        CHUNKED + b'4\r\n{"in\r\n',
        JSON_HEAD + b'content-length: 99\r\n\r\n{"instructions": ',
        JSON_HEAD + b"\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n",
    ],
    ids=["nothing", "head", "body", "chunk", "length", "until-the-end", "early-hints"],
)
async def test_a_hook_that_hangs_is_left_in_time_and_its_connection_closed(raw: bytes) -> None:
    answer = Planned(raw=raw, hangs=True)
    async with fake_hook(answer) as hook, hook_at(hook.url, within=SHORT) as adapter:
        with pytest.raises(HookTimedOut) as failure:
            await adapter.prepare(a_question())
        await hook.until(open_connections=0)

    assert failure.value.details.reason == "timeout"


async def test_a_hook_that_accepts_no_connection_in_time_is_not_available() -> None:
    async with fake_hook() as hook:
        # It accepts the connection, and waits for a request instead of a handshake.
        url = hook.url.replace("http:", "https:")
        async with hook_at(url, connect_timeout=SHORT) as adapter:
            with pytest.raises(HookUnavailable) as failure:
                await adapter.prepare(a_question())

    assert failure.value.details.reason == "timeout"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "closed"),
        (b"HTTP/1.1 200 O", "closed"),
        (JSON_HEAD + b"content-length: 2\r\n\r\n{", "closed"),
        (CHUNKED + b"2\r\n{}\r\n", "closed"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not-http"),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
            "not-http",
        ),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}x", "not-http"),
    ],
)
async def test_a_broken_response_is_a_failure(raw: bytes, reason: str) -> None:
    async with fake_hook(Planned(raw=raw, closes=True)) as hook:
        failure = await failure_at(hook.url)

    assert isinstance(failure, HookUnavailable)
    assert failure.details.reason == reason
    assert len(hook.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        a_response(200, MEGABYTE),
        Planned(raw=CHUNKED + b"100001\r\n" + MEGABYTE, hangs=True),
        Planned(raw=JSON_HEAD + b"x: " + b"y" * 2_000_000, hangs=True),
        Planned(raw=JSON_HEAD + b"content-length: 2000000\r\n\r\n" + MEGABYTE, hangs=True),
    ],
    ids=["whole", "chunked", "head", "announced"],
)
async def test_an_enormous_answer_is_left_unread(answer: Planned) -> None:
    async with fake_hook(answer) as hook:
        failure = await failure_at(hook.url)
        await hook.until(open_connections=0)

    assert isinstance(failure, HookAnswerInvalid)
    assert failure.details.reason == "too-large"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (a_response(200, gzip.compress(b"{}"), content_encoding="gzip"), "encoded"),
        (a_response(200, b"{}", content_type="text/html"), "content-type"),
        (a_response(200), "content-type"),
        (a_response(200, b"planted"), "not-json"),
        (a_response(200, b""), "content-type"),
    ],
)
async def test_a_body_that_is_not_json_is_refused(answer: Planned, reason: str) -> None:
    async with fake_hook(answer) as hook:
        failure = await failure_at(hook.url)

    assert isinstance(failure, HookAnswerInvalid)
    assert failure.details == HookFailure(host=f"127.0.0.1:{hook.port}", status=200, reason=reason)


async def test_a_wrong_field_is_named_and_nothing_of_its_content() -> None:
    answer = an_answer(passages=[{"title": "T", "text": "x", "url": "planted"}])
    async with fake_hook(answer) as hook:
        failure = await failure_at(hook.url)

    details = failure.details
    assert (details.reason, details.field) == ("not-a-url", "passages[0].url")
    assert "planted" not in f"{failure}{failure!r}{details}"


async def test_certificates_are_checked(tmp_path: Path) -> None:
    authority, ca_file = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    async with fake_hook(an_answer(), tls=tls) as hook:
        refused = await failure_at(hook.url)
        async with hook_at(hook.url, ca_file=ca_file) as adapter:
            first = await adapter.prepare(a_question())
            await adapter.prepare(a_question())
        wrong_host = hook.url.replace("127.0.0.1", "localhost")
        async with hook_at(wrong_host, ca_file=ca_file) as adapter:
            with pytest.raises(HookUnavailable) as other:
                await adapter.prepare(a_question())

    assert refused.details.reason == "certificate-not-trusted"
    assert first == Preparation()
    assert other.value.details.reason == "certificate-for-another-host"
    assert len(hook.requests) == 2


async def test_a_hook_without_tls_is_named() -> None:
    async with odd_model_server({}) as plain:
        failure = await failure_at(plain.origin.replace("http:", "https:"))

    assert failure.details.reason == "no-tls"


async def test_the_signature_of_a_retry_has_the_time_of_the_retry() -> None:
    clock = _SlowClock()
    async with fake_hook(a_response(503)) as hook, hook_at(hook.url, clock=clock) as adapter:
        await adapter.prepare(a_question())
    first, second = (int(request.headers["webhook-timestamp"]) for request in hook.requests)

    assert second - first == 3


class _SlowClock(HastyClock):
    async def sleep(self, duration: timedelta) -> None:
        await super().sleep(12 * duration)


def test_everything_works_in_the_event_loop_of_the_service_too(tmp_path: Path) -> None:
    authority, ca_file = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)

    async def over(tls: ssl.SSLContext | None) -> list[object]:
        answers = an_answer(), Planned(closes=True), an_answer(), Planned(hangs=True)
        async with fake_hook(*answers, tls=tls) as hook:
            async with hook_at(hook.url, ca_file=ca_file) as adapter:
                whole = [await adapter.prepare(a_question()) for _ in range(2)]
                connections = hook.connections
            async with hook_at(hook.url, ca_file=ca_file, within=SHORT) as adapter:
                with pytest.raises(HookTimedOut):
                    await adapter.prepare(a_question())
            await hook.until(open_connections=0)
            return [*whole, connections]

    async def both() -> list[list[object]]:
        return [await over(None), await over(tls)]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        results = runner.run(both())
    assert results == [[Preparation(), Preparation(), 2]] * 2
