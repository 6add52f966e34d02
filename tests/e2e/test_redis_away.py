"""A Redis that is not there: an error at once, never memory instead, and no restart needed."""

import asyncio
import signal

import pytest

from entrypoints import container
from tests.support.clocks import HastyClock
from tests.support.event_stream import kinds
from tests.support.fake_model import FakeModel
from tests.support.native_client import NativeClient, eventually
from tests.support.processes import ran, ran_here, starting
from tests.support.redis_servers import RedisProcess, free_port
from tests.support.redis_services import at, looking_into, served_from, serving_from
from tests.support.redis_store import RING

SECRET = "a_planted_password"


def test_a_start_without_redis_ends_with_one_line_that_names_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(container, "SystemClock", HastyClock)
    monkeypatch.setattr("resource.setrlimit", lambda *_: None)
    monkeypatch.setattr("entrypoints.cli.serve.set_up_logging", lambda _: None)
    url = f"redis://user:{SECRET}@localhost:{free_port()}/0"

    ended = ran_here("serve", "--port", "0", REDIS_URL=url, PRIVITY_KEYS=RING)

    assert (ended.code, ended.out) == (1, "")
    assert len(ended.err.splitlines()) == 1
    assert ended.err.startswith("privity: Redis at localhost:")
    assert SECRET not in ended.err


async def test_a_start_with_a_wrong_password_ends_at_once(own_server: RedisProcess) -> None:
    async with looking_into(own_server) as redis:
        await redis.acl_setuser("chat", enabled=True, passwords=["+another"], keys=["*"])
    url = own_server.url.replace("//", f"//chat:{SECRET}@")

    ended = await ran("serve", "--port", "0", REDIS_URL=url, PRIVITY_KEYS=RING)

    assert (ended.code, ended.out) == (1, "")
    assert ended.err.splitlines()[-1].endswith(f":{own_server.port} denied access (WRONGPASS).")
    assert SECRET not in ended.err


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"REDIS_ENABLED": "true"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://redis.example:6379"}, "REDIS_PLAINTEXT"),
        ({"REDIS_URL": "rediss://redis.example:6379"}, "PRIVITY_KEYS"),
    ],
)
async def test_settings_that_would_leave_conversations_open_are_refused(
    settings: dict[str, str], named: str
) -> None:
    keys = {} if named == "PRIVITY_KEYS" else {"PRIVITY_KEYS": RING}
    ended = await ran("serve", "--port", "0", **settings, **keys)

    assert (ended.code, ended.out) == (2, "")
    assert named in ended.err


async def test_every_call_is_told_so_and_all_is_well_when_it_is_back(
    own_server: RedisProcess,
) -> None:
    async with served_from(own_server) as service:
        client = NativeClient(service.url)
        session_id = (await client.ask("Before"))["sessionId"]
        own_server.kill()
        refused = await asyncio.gather(
            client.say("First"),
            client.say("Meanwhile", session_id),
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
        after = await client.ask("After", session_id)

    assert {(one.status, one.code) for one in refused} == {(503, "store_unavailable")}
    assert all(int(one.headers["retry-after"]) > 0 for one in refused)
    assert health == [503, 200]
    assert after["restarted"] is False
    assert after["reply"]["content"].split() == ["Before", "/", "After"]


async def test_a_frozen_redis_is_no_reason_to_wait_for_ever(own_server: RedisProcess) -> None:
    async with served_from(own_server) as service:
        client = NativeClient(service.url)
        session_id = (await client.ask("Before"))["sessionId"]
        own_server.signal(signal.SIGSTOP)
        refused = await client.say("Meanwhile", session_id)
        own_server.signal(signal.SIGCONT)
        await eventually(lambda: is_ready(client))

        assert (refused.status, refused.code) == (503, "store_unavailable")
        assert (await client.say("After", session_id)).status in (200, 409)


async def test_a_reply_goes_on_while_redis_is_away_and_is_saved_when_it_is_back(
    own_server: RedisProcess, fake_model: FakeModel
) -> None:
    async with served_from(own_server, fake_model) as service:
        client = NativeClient(service.url)
        async with client.streaming("Hello") as live:
            model_reply = await fake_model.next_reply()
            model_reply.say("one ")
            await live.until("text-delta")
            own_server.kill()
            model_reply.say("two ")
            told = await live.until("text-delta")
            model_reply.say("three")
            model_reply.finish()
            own_server.start()
            whole = await live.whole()
        session_id = whole.session_id

        assert told[-1].document["delta"] == "two "
        assert kinds(whole.events)[-4:] == ["finish-step", "finish", "[DONE]", "metadata-info"]
        assert await client.transcript(session_id) == [
            ("user", "Hello"),
            ("assistant", "one two three"),
        ]


async def test_a_restart_of_both_loses_nothing(own_server: RedisProcess) -> None:
    async with serving_from(own_server) as service:
        client = NativeClient(service.url)
        session_id = (await client.ask("Before"))["sessionId"]
        said = await client.transcript(session_id)
        own_server.kill()
    own_server.start()
    async with serving_from(own_server) as service:
        assert await at(service.url, client).transcript(session_id) == said


async def is_ready(client: NativeClient) -> bool:
    return (await client.get("/health/ready")).status == 200


async def test_a_signal_while_it_waits_for_redis_ends_it_quietly() -> None:
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
        ended = await process.ended()

    assert (ended.code, ended.out) == (0, "")
    assert "Traceback" not in ended.err
