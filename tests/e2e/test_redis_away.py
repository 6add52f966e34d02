"""An unavailable Redis: immediate errors, no fallback to memory, and recovery without a restart."""

import asyncio
import signal

import pytest

from entrypoints import container
from tests.support.clocks import HastyClock
from tests.support.event_stream import kinds
from tests.support.fake_model import FakeModel
from tests.support.native_client import NativeClient, eventually
from tests.support.processes import run_cli, run_cli_in_process, starting
from tests.support.redis_servers import RedisProcess, free_port
from tests.support.redis_services import (
    redis_client,
    running_service_with_redis,
    same_user_at,
    serving_with_redis,
)
from tests.support.redis_store import RING

SECRET = "a_planted_password"


def test_a_start_without_redis_says_so_at_once_and_again_and_ends_with_advice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(container, "SystemClock", HastyClock)
    monkeypatch.setattr("resource.setrlimit", lambda *_: None)
    monkeypatch.setattr("entrypoints.cli.serve.set_up_logging", lambda _: None)
    port = free_port()
    url = f"redis://user:{SECRET}@localhost:{port}/0"

    ended = run_cli_in_process("serve", "--port", "0", REDIS_URL=url, PRIVITY_KEYS=RING)

    assert (ended.code, ended.out) == (1, "")
    waiting = f"privity: Redis at localhost:{port}: connection refused; trying again for up to 30 s"
    *lines, last = ended.err.splitlines()
    assert len(lines) >= 4
    assert all(line == f"{waiting}." for line in lines)
    assert last == (
        f"privity: Redis at localhost:{port}: connection refused. Start Redis, or correct the host "
        "and port in REDIS_URL."
    )
    assert SECRET not in ended.err


async def test_a_start_with_a_wrong_password_ends_at_once(own_server: RedisProcess) -> None:
    async with redis_client(own_server) as redis:
        await redis.acl_setuser("chat", enabled=True, passwords=["+another"], keys=["*"])
    url = own_server.url.replace("//", f"//chat:{SECRET}@")

    ended = await run_cli("serve", "--port", "0", REDIS_URL=url, PRIVITY_KEYS=RING)

    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"privity: Redis at 127.0.0.1:{own_server.port}: wrong user or ")
    assert len(ended.err.splitlines()) == 1
    assert SECRET not in ended.err


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"REDIS_ENABLED": "true"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://redis.example:6379"}, "REDIS_PLAINTEXT"),
        ({"REDIS_URL": "rediss://redis.example:6379"}, "PRIVITY_KEYS"),
    ],
)
async def test_settings_that_would_expose_conversations_are_rejected(
    settings: dict[str, str], named: str
) -> None:
    keys = {} if named == "PRIVITY_KEYS" else {"PRIVITY_KEYS": RING}
    ended = await run_cli("serve", "--port", "0", **settings, **keys)

    assert (ended.code, ended.out) == (2, "")
    assert named in ended.err


async def test_every_call_fails_clearly_and_recovers_with_redis(
    own_server: RedisProcess,
) -> None:
    async with running_service_with_redis(own_server) as service:
        client = NativeClient(service.url)
        session_id = (await client.send_for_document("Before"))["sessionId"]
        own_server.kill()
        refused = await asyncio.gather(
            client.send("First"),
            client.send("Meanwhile", session_id),
            client.history(session_id),
            client.delete(f"/api/chat?sessionId={session_id}"),
            client.post(f"/api/chat/{session_id}/regenerate", {}),
            client.post(f"/api/chat/{session_id}/stop", {}),
            client.post("/api/sessions", {}),
            client.get(f"/api/chat/{session_id}/export"),
        )
        health = [(await client.get(f"/health/{kind}")).status for kind in ("ready", "live")]
        own_server.start()
        await eventually(lambda: is_ready(client))
        after = await client.send_for_document("After", session_id)

    assert {(one.status, one.code) for one in refused} == {(503, "store_unavailable")}
    assert all(int(one.headers["retry-after"]) > 0 for one in refused)
    assert health == [503, 200]
    assert after["restarted"] is False
    assert after["reply"]["content"].split() == ["Before", "/", "After"]


async def test_a_frozen_redis_times_out(own_server: RedisProcess) -> None:
    async with running_service_with_redis(own_server) as service:
        client = NativeClient(service.url)
        session_id = (await client.send_for_document("Before"))["sessionId"]
        own_server.signal(signal.SIGSTOP)
        refused = await client.send("Meanwhile", session_id)
        own_server.signal(signal.SIGCONT)
        await eventually(lambda: is_ready(client))

        assert (refused.status, refused.code) == (503, "store_unavailable")
        assert (await client.send("After", session_id)).status in (200, 409)


async def test_a_reply_continues_while_redis_is_down_and_is_saved_afterwards(
    own_server: RedisProcess, fake_model: FakeModel
) -> None:
    async with running_service_with_redis(own_server, fake_model) as service:
        client = NativeClient(service.url)
        async with client.streaming("Hello") as live:
            model_reply = await fake_model.next_reply()
            model_reply.send_text("one ")
            await live.until("text-delta")
            own_server.kill()
            model_reply.send_text("two ")
            events = await live.until("text-delta")
            model_reply.send_text("three")
            model_reply.finish()
            own_server.start()
            whole = await live.whole()
        session_id = whole.session_id

        assert events[-1].document["delta"] == "two "
        assert kinds(whole.events)[-4:] == ["finish-step", "finish", "[DONE]", "metadata-info"]
        assert await client.transcript(session_id) == [
            ("user", "Hello"),
            ("assistant", "one two three"),
        ]


async def test_a_restart_of_both_loses_nothing(own_server: RedisProcess) -> None:
    async with serving_with_redis(own_server) as service:
        client = NativeClient(service.url)
        session_id = (await client.send_for_document("Before"))["sessionId"]
        transcript = await client.transcript(session_id)
        own_server.kill()
    own_server.start()
    async with serving_with_redis(own_server) as service:
        assert await same_user_at(service.url, client).transcript(session_id) == transcript


async def is_ready(client: NativeClient) -> bool:
    return (await client.get("/health/ready")).status == 200


async def test_a_signal_during_the_wait_for_redis_ends_the_process_quietly() -> None:
    met = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.set()
        await reader.read()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = {"REDIS_URL": f"redis://127.0.0.1:{port}/0", "PRIVITY_KEYS": RING}
    async with server, starting(**settings) as process:
        async with asyncio.timeout(20):
            await met.wait()
        process.terminate()
        ended = await process.wait()

    assert (ended.code, ended.out) == (0, "")
    assert "Traceback" not in ended.err
