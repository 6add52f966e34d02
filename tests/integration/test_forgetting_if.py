"""Forgetting on a condition while others write: nothing they said goes with it."""

from typing import Any

import pytest

from domain.model.conversation import Conversation
from tests.support.builders import OWNER, REF, after_turns, texts_of
from tests.support.changes import asking
from tests.support.redis_servers import RedisProcess
from tests.support.redis_store import redis_harness


async def test_a_faster_writer_is_asked_about_as_well(
    shared_server: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        redis_harness(shared_server.url) as harness,
        redis_harness(shared_server.url) as other,
    ):
        await harness.redis.flushdb()
        await harness.store.create(OWNER, after_turns(1))
        run, seen = harness.client.run_script, list[str]()

        async def late(doing: str, *arguments: Any, **options: Any) -> Any:
            if doing == "forget" and len(seen) == 1:
                await other.store.update(REF, asking("Meanwhile", 2))
            return await run(doing, *arguments, **options)

        def wanted(known: Conversation) -> bool:
            seen.append(known.messages[-1].text)
            return known.messages[-1].text != "Meanwhile"

        monkeypatch.setattr(harness.client, "run_script", late)
        await harness.store.forget_if(REF, wanted)

        assert seen == ["answer 1", "Meanwhile"]
        assert texts_of(await other.store.load(REF))[-1] == "Meanwhile"
