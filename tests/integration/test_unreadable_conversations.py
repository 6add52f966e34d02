"""What the operator learns when a request meets stored data that cannot be opened."""

import pytest

from adapters.encrypted_redis.keys_and_scripts import log_key, state_key
from domain.model.identifiers import TurnRef
from ports.errors import StoredStateUnreadable
from tests.support.builders import (
    AT_ONCE,
    ID,
    OWNER,
    REF,
    a_conversation,
    turn_of,
    with_question,
)
from tests.support.fakes import Fields
from tests.support.redis_servers import RedisProcess
from tests.support.redis_store import NEWER, RedisHarness, redis_harness, store_turns


def unreadable(reason: str) -> tuple[str, Fields]:
    return ("conversation.unreadable", {"session_id": ID, "reason": reason})


async def test_a_master_key_that_is_gone_is_named_as_the_reason(
    harness: RedisHarness, shared_server: RedisProcess
) -> None:
    await store_turns(harness, 1)
    async with redis_harness(shared_server.url, NEWER) as other:
        for operation in (
            lambda: other.store.load(REF),
            lambda: other.store.page(REF, None, 10),
            lambda: other.store.update(REF, with_question),
            lambda: other.store.forget(REF),
        ):
            with pytest.raises(StoredStateUnreadable):
                await operation()

        assert other.telemetry.emitted == [unreadable("key-missing")] * 4


async def test_a_damaged_conversation_is_logged(harness: RedisHarness) -> None:
    await harness.put([b"not a sealed frame"])
    for operation in (lambda: harness.store.load(REF), lambda: harness.store.forget(REF)):
        with pytest.raises(StoredStateUnreadable):
            await operation()

    assert harness.telemetry.emitted == [unreadable("damaged")] * 2


async def test_a_value_that_another_program_wrote_is_logged(harness: RedisHarness) -> None:
    await harness.redis.set(state_key(ID), "{}", px=60_000)
    for operation in (
        lambda: harness.store.load(REF),
        lambda: harness.store.create(OWNER, a_conversation()),
        lambda: harness.store.forget(REF),
    ):
        with pytest.raises(StoredStateUnreadable):
            await operation()

    assert harness.telemetry.emitted == [unreadable("wrong-type")] * 3


async def test_a_damaged_log_is_logged(harness: RedisHarness) -> None:
    conversation = with_question(a_conversation())
    await harness.store.create(OWNER, conversation)
    harness.log.drop_local(ID)
    await harness.redis.xadd(log_key(ID), {"d": "not sealed"}, "1-9")
    with pytest.raises(StoredStateUnreadable):
        await harness.log.read(TurnRef(REF, turn_of(conversation).id), 0, AT_ONCE)

    assert harness.telemetry.emitted == [unreadable("damaged")]
