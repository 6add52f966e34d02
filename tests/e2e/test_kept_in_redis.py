"""Conversations in Redis: what survives a restart, their keys and their expiry."""

from datetime import timedelta

from tests.support.native_client import NativeClient, retention_left
from tests.support.processes import serving
from tests.support.redis_contents import conversation_keys
from tests.support.redis_servers import RedisProcess
from tests.support.redis_services import (
    redis_client,
    running_service_with_redis,
    same_user_at,
    serving_with_redis,
)

DAY = 86_400_000
A_MOMENT = 10_000
FIRST, SECOND, THIRD = "I live in Turku.", "I ride a bicycle.", "What do you know of me?"


async def test_earlier_messages_stay_in_effect(shared_server: RedisProcess) -> None:
    async with running_service_with_redis(shared_server) as service:
        client = NativeClient(service.url)
        first = await client.send_for_document(FIRST)
        second = await client.send_for_document(SECOND, first["sessionId"])

    assert second["restarted"] is False
    assert FIRST in second["reply"]["content"]


async def test_earlier_messages_survive_a_killed_service(shared_server: RedisProcess) -> None:
    async with serving_with_redis(shared_server) as service:
        client = NativeClient(service.url)
        session_id = (await client.send_for_document(FIRST))["sessionId"]
        await client.send_for_document(SECOND, session_id)
        before = (await client.history(session_id)).document["messages"]
        service.kill()
        await service.wait()
    async with serving_with_redis(shared_server) as service:
        client = same_user_at(service.url, client)
        after = (await client.history(session_id)).document["messages"]
        third = await client.send_for_document(THIRD, session_id)

    assert after == before
    assert third["sessionId"] == session_id
    assert FIRST in third["reply"]["content"]
    assert SECOND in third["reply"]["content"]


async def test_without_redis_a_restart_forgets() -> None:
    keys = {"REDIS_ENABLED": "false", "PRIVITY_KEYS": "first:" + "b2xk" * 10 + "b2w="}
    async with serving(**keys) as service:
        client = NativeClient(service.url)
        session_id = (await client.send_for_document(FIRST))["sessionId"]
        second = await client.send_for_document(SECOND, session_id)
    async with serving(**keys) as service:
        client = same_user_at(service.url, client)
        gone = await client.history(session_id)
        third = await client.send_for_document(THIRD, session_id)

    assert FIRST in second["reply"]["content"]
    assert (gone.status, gone.code) == (404, "conversation_not_found")
    assert third["restarted"] is True
    assert FIRST not in third["reply"]["content"]


async def test_redis_enabled_false_ignores_the_redis_url(shared_server: RedisProcess) -> None:
    async with redis_client(shared_server) as redis:
        await redis.flushdb()
        async with serving_with_redis(shared_server, REDIS_ENABLED="false") as service:
            await NativeClient(service.url).send_for_document(FIRST)

        assert await conversation_keys(redis) == []


async def test_the_redis_key_is_as_documented_and_expires_a_day_after_each_turn(
    shared_server: RedisProcess,
) -> None:
    async with (
        running_service_with_redis(shared_server) as service,
        redis_client(shared_server) as redis,
    ):
        await redis.flushdb()
        client = NativeClient(service.url)
        session_id = (await client.send_for_document(FIRST))["sessionId"]
        key = f"conversation:state:{session_id}"
        names = set(await conversation_keys(redis))
        first = await redis.pttl(key)
        await redis.pexpire(key, DAY // 2)
        await client.send_for_document(SECOND, session_id)
        second = await redis.pttl(key)

    assert names == {key, f"{{{key}}}:turn"}
    assert DAY - A_MOMENT < first <= DAY
    assert DAY - A_MOMENT < second <= DAY


async def test_reading_does_not_extend_the_retention(shared_server: RedisProcess) -> None:
    async with (
        running_service_with_redis(shared_server) as service,
        redis_client(shared_server) as redis,
    ):
        client = NativeClient(service.url)
        session_id = (await client.send_for_document(FIRST))["sessionId"]
        key = f"conversation:state:{session_id}"
        await redis.pexpire(key, DAY // 2)
        before = await redis.pexpiretime(key)
        for path in (
            f"/api/chat?sessionId={session_id}",
            f"/api/chat/{session_id}/export",
            f"/api/chat/{session_id}/stream",
        ):
            assert (await client.get(path)).status in (200, 204)

        assert await redis.pexpiretime(key) == before


async def test_forgetting_leaves_only_a_mark_and_replies_name_the_expiry(
    shared_server: RedisProcess,
) -> None:
    async with (
        running_service_with_redis(shared_server) as service,
        redis_client(shared_server) as redis,
    ):
        await redis.flushdb()
        client = NativeClient(service.url)
        reply = await client.send_for_document(FIRST)
        forgotten = await client.delete(f"/api/chat?sessionId={reply['sessionId']}")

        assert (
            timedelta(hours=24) - timedelta(minutes=1)
            < retention_left(reply)
            <= timedelta(hours=24)
        )
        assert forgotten.status == 204
        mark = f"{{conversation:state:{reply['sessionId']}}}:forgotten"
        assert await conversation_keys(redis) == [mark]
