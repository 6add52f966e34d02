"""Whoever waits for a reply when the service stops gets an answer, even if Redis is dead."""

import asyncio

from tests.support.http_client import JSON
from tests.support.instructed_model import instructed_model_server, instruction
from tests.support.native_client import NativeClient, eventually, message_body
from tests.support.processes import serving
from tests.support.redis_servers import embedded_binary, redis_process
from tests.support.redis_store import RING

PIECES, PAUSE = 20, 50


async def test_a_reply_that_cannot_be_saved_at_a_shutdown_is_answered_with_a_problem() -> None:
    with redis_process(embedded_binary()) as server:
        async with (
            instructed_model_server() as model,
            serving(
                REDIS_URL=server.url,
                PRIVITY_KEYS=RING,
                MODEL_BASE_URL=model.url,
                MODEL_NAME="instructed",
                PRIVITY_SHUTDOWN_SECONDS="1",
            ) as process,
        ):
            client = NativeClient(process.url)
            body = message_body(instruction("late", PIECES, PAUSE))
            waiting = asyncio.create_task(client.post("/api/chat", body, **JSON))

            async def is_asked() -> bool:
                await asyncio.sleep(0)
                return model.requests["late"] == 1

            await eventually(is_asked)
            server.kill()
            process.terminate()
            answer = await waiting
            ended = await process.wait()

    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status, answer.code) in ((503, "reply_not_saved"), (503, "shutting_down"))
    assert ended.code == 0
