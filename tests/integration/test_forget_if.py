"""Forgetting on a condition while others write: a message they add is not deleted unseen."""

from typing import Any

import pytest

from domain.model.conversation import Conversation
from tests.support.builders import OWNER, REF, after_turns, texts_of
from tests.support.changes import asking
from tests.support.redis_servers import RedisProcess
from tests.support.redis_store import redis_harness


async def test_the_predicate_sees_what_a_faster_writer_added(
    shared_server: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        redis_harness(shared_server.url) as harness,
        redis_harness(shared_server.url) as other,
    ):
        await harness.redis.flushdb()
        await harness.store.create(OWNER, after_turns(1))
        run, seen = harness.client.run_script, list[str]()

        async def run_late(doing: str, *arguments: Any, **options: Any) -> Any:
            if doing == "forget" and len(seen) == 1:
                await other.store.update(REF, asking("Meanwhile", 2))
            return await run(doing, *arguments, **options)

        def predicate(conversation: Conversation) -> bool:
            seen.append(conversation.messages[-1].text)
            return conversation.messages[-1].text != "Meanwhile"

        monkeypatch.setattr(harness.client, "run_script", run_late)
        await harness.store.forget_if(REF, predicate)

        assert seen == ["answer 1", "Meanwhile"]
        assert texts_of(await other.store.load(REF))[-1] == "Meanwhile"
