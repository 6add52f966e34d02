"""``privity serve`` as a process: startup and shutdown."""

import socket

import pytest

from tests.support.event_stream import kinds, text_of
from tests.support.native_client import NativeClient, eventually
from tests.support.processes import run_cli, serving


async def test_serve_needs_no_settings_and_prints_its_url() -> None:
    async with serving() as server:
        answer = await NativeClient(server.url).get("/health/ready")
        server.terminate()
        ended = await server.wait()

    assert answer.status == 200
    assert ended.code == 0
    assert ended.out.startswith(f"Privity is listening on {server.url}\n")
    assert "in memory only" in ended.out
    assert f"privity chat --url {server.url}" in ended.out


async def test_a_shutdown_lets_running_replies_finish_and_accepts_no_new_ones() -> None:
    async with serving() as server:
        client = NativeClient(server.url)

        async def is_leaving() -> bool:
            return (await client.get("/health/ready")).status == 503

        async with client.streaming("Hello") as live:
            session_id = (await live.until("text-delta"))[0].document["sessionId"]
            server.terminate()
            await eventually(is_leaving)
            refused = [await client.send("And?"), await client.send("And?", session_id)]
            alive = await client.get("/health/live")
            answer = await live.whole()
        ended = await server.wait()

    assert {(one.status, one.code) for one in refused} == {(503, "shutting_down")}
    assert all(int(one.headers["retry-after"]) > 0 for one in refused)
    assert not any("set-cookie" in one.headers for one in refused)
    assert alive.status == 200
    assert kinds(answer.events)[-4:] == ["finish-step", "finish", "[DONE]", "metadata-info"]
    assert answer.clean
    assert ended.code == 0


async def test_a_reply_that_outlasts_the_grace_period_is_interrupted_cleanly() -> None:
    async with (
        serving(PRIVITY_SHUTDOWN_SECONDS="0") as server,
        NativeClient(server.url).streaming("Hello") as live,
    ):
        await live.until("text-delta")
        server.terminate()
        answer = await live.whole()
        ended = await server.wait()

    assert kinds(answer.events)[-3:] == ["abort", "[DONE]", "metadata-info"]
    assert text_of(answer.events)
    assert answer.clean
    assert ended.code == 0


async def test_a_port_in_use_is_a_one_line_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = await run_cli("serve", "--port", port)

    assert ended.code == 1
    assert ended.out == ""
    assert len(ended.err.splitlines()) == 1
    assert f"Cannot listen on 127.0.0.1 port {port}: another program uses this port." in ended.err


WRONG = {
    "REDIS_ENABLED": "PLANTED",
    "PRIVITY_KEYS": "PLANTED",
    "PRIVITY_PUBLIC_URL": "https://PLANTED/path",
    "PRIVITY_EMBEDDING_ORIGINS": "PLANTED",
    "PRIVITY_PROXIES": "PLANTED",
    "MODEL_BASE_URL": "https://user:PLANTED@example.org",
    "MODEL_API_KEY_FILE": "/nowhere/PLANTED",
    "MODEL_CONNECT_SECONDS": "PLANTED",
    "ASSISTANT_FILE": "/nowhere/PLANTED",
    "PRIVITY_LOG_LEVEL": "PLANTED",
}


async def test_all_wrong_settings_are_named_at_once_without_their_values() -> None:
    ended = await run_cli("serve", "--port", "0", **WRONG)

    missed = [name for name in WRONG if name not in ended.err]
    assert (ended.code, ended.out) == (2, "")
    assert "PLANTED" not in ended.err
    assert missed == []


@pytest.mark.parametrize("name", ["PRIVITY_KEYS", "ASSISTANT_FILE"])
async def test_a_late_startup_failure_is_a_one_line_error(name: str) -> None:
    ended = await run_cli("serve", "--port", "0", **{name: WRONG[name]})

    assert (ended.code, ended.out) == (2, "")
    assert "PLANTED" not in ended.err
    assert len(ended.err.splitlines()) == 1
    assert name in ended.err


async def test_in_memory_storage_beyond_this_machine_must_be_explicit() -> None:
    ended = await run_cli("serve", "--host", "0.0.0.0", "--port", "0")  # noqa: S104 - the subject

    assert (ended.code, ended.out) == (2, "")
    assert "REDIS_ENABLED=false" in ended.err
