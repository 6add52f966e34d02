"""What an operator reads in the log of a real service."""

import asyncio
import json
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from tests.support.native_client import NativeClient, eventually
from tests.support.processes import serving
from tests.support.redis_servers import RedisProcess
from tests.support.redis_services import running_service_with_redis


async def test_a_process_logs_its_start_and_its_end() -> None:
    async with serving() as server:
        await NativeClient(server.url).send_for_document("Hello")
        server.terminate()
        ended = await server.wait()

    lines = [json.loads(line) for line in ended.err.splitlines()]
    assert [(line["level"], line["event"]) for line in lines] == [
        ("info", "service.started"),
        ("info", "turn.finished"),
        ("info", "service.draining"),
        ("info", "service.stopped"),
    ]
    assert lines[0]["storage"] == "memory"
    assert all("timestamp" in line for line in lines)


async def test_a_process_that_logs_warnings_only_is_silent_while_all_is_well() -> None:
    async with serving(PRIVITY_LOG_LEVEL="warning") as server:
        await NativeClient(server.url).send_for_document("Hello")
        server.terminate()
        ended = await server.wait()

    assert ended.err == ""


async def test_an_outage_of_redis_is_one_warning_however_many_requests_fail(
    own_server: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.encrypted_redis.outages.BACK_AFTER", timedelta())
    with capture_logs() as lines:
        async with running_service_with_redis(own_server) as service:
            client = NativeClient(service.url)
            session_id = (await client.send_for_document("Before"))["sessionId"]
            lines.clear()
            own_server.kill()
            answers = await asyncio.gather(*(client.history(session_id) for _ in range(50)))
            own_server.start()

            async def is_back() -> bool:
                await client.get("/health/ready")
                return any(line["event"] == "redis.back" for line in lines)

            await eventually(is_back)

    outage = [line for line in lines if line["event"].startswith(("redis.", "store."))]
    assert {answer.status for answer in answers} == {503}
    assert [(line["log_level"], line["event"]) for line in outage] == [
        ("warning", "redis.lost"),
        ("info", "redis.back"),
    ]
    assert outage[0]["reason"] in {"closed", "refused"}
    assert outage[1]["failed_operations"] >= 50


async def test_unsuitable_settings_of_redis_are_warnings(own_server: RedisProcess) -> None:
    with capture_logs() as lines:
        async with running_service_with_redis(own_server):
            pass

    settings = {line["topic"]: line for line in lines if line["event"] == "redis.setting"}
    assert settings["maxmemory"]["log_level"] == "warning"
    assert settings["maxmemory-policy"]["finding"] == "warning"
