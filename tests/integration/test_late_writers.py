"""Writes whose replies were lost, that arrive late, or twice."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from adapters.encrypted_redis.keys_and_scripts import (
    FORGOTTEN_TTL,
    SPLICE,
    forgotten_key,
    log_key,
    state_key,
)
from adapters.encrypted_redis.redis_client import LONGEST_REPEAT
from domain.model.conversation import Conversation
from domain.model.errors import ConversationGone, ConversationNotFound, TurnSuperseded
from domain.model.identifiers import ConversationRef, TurnRef
from domain.model.piece import NumberedPiece, TextPiece
from domain.model.turn import Outcome, TurnEnd
from tests.support.builders import (
    ID,
    OWNER,
    REF,
    STRANGER,
    a_conversation,
    texts_of,
    turn_of,
    with_answer,
    with_question,
)
from tests.support.changes import asking, finishing
from tests.support.proxies import Proxy, proxy_to
from tests.support.redis_servers import RedisProcess
from tests.support.redis_store import RedisHarness, redis_harness, store_turns

LATE = [NumberedPiece(1, TextPiece("late"))]


@pytest.fixture
async def proxy(shared_server: RedisProcess) -> AsyncIterator[Proxy]:
    async with proxy_to(shared_server.port) as proxy:
        yield proxy


@pytest.fixture
async def over_proxy(proxy: Proxy) -> AsyncIterator[RedisHarness]:
    """The adapters of a second process, on a network that may lose replies."""
    async with redis_harness(f"redis://127.0.0.1:{proxy.port}/0") as harness:
        await harness.client.call_idempotent("test", "PING")
        yield harness


async def script_calls(harness: RedisHarness) -> int:
    """How many scripts the server has run."""
    stats = await harness.redis.info("commandstats")
    return int(stats["cmdstat_evalsha"]["calls"])


async def test_a_commit_whose_reply_was_lost_is_repeated_and_applied_once(
    harness: RedisHarness, over_proxy: RedisHarness, proxy: Proxy
) -> None:
    await store_turns(harness, 1)
    before, calls = await harness.frames(), await script_calls(harness)
    base = await over_proxy.store.load(REF)
    proxy.answers_to_lose = 1
    await over_proxy.store.update(REF, asking("once", 2), base=base)

    assert proxy.answers_to_lose == 0
    assert await script_calls(harness) == calls + 2
    assert len(await harness.frames()) == len(before) + 1
    assert texts_of(await harness.store.load(REF)) == ["question 1", "answer 1", "once"]
    assert await harness.redis.xlen(log_key(ID)) == 1


async def test_a_creation_whose_reply_was_lost_is_applied_once(
    harness: RedisHarness, over_proxy: RedisHarness, proxy: Proxy
) -> None:
    proxy.answers_to_lose = 1
    await over_proxy.store.create(OWNER, with_question(a_conversation()))

    assert len(await harness.frames()) == 1


async def test_a_creation_whose_reply_was_lost_does_not_undo_a_deletion(
    harness: RedisHarness,
    over_proxy: RedisHarness,
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await store_turns(harness, 1)
    await harness.redis.flushdb()
    call = over_proxy.client.call_once

    async def call_late(*arguments: Any) -> Any:
        await harness.store.forget(REF)
        return await call(*arguments)

    # The last of three attempts comes after another process has deleted the conversation.
    monkeypatch.setattr(over_proxy.client, "call_once", call_late)
    proxy.answers_to_lose = 2
    with pytest.raises(ConversationGone):
        await over_proxy.store.create(OWNER, with_question(a_conversation()))

    assert proxy.answers_to_lose == 0
    assert await harness.redis.keys("*") == [forgotten_key(ID).encode()]


def test_a_forgotten_turn_is_remembered_longer_than_any_script_is_repeated() -> None:
    assert FORGOTTEN_TTL > 3 * LONGEST_REPEAT


async def test_a_log_of_another_type_can_be_forgotten(harness: RedisHarness) -> None:
    await store_turns(harness, 1)
    await harness.redis.delete(log_key(ID))
    await harness.redis.set(log_key(ID), "not a stream")
    await harness.store.forget(REF)

    assert await harness.redis.keys("*") == []


async def test_a_turn_that_another_writer_finished_first_is_finished_once(
    harness: RedisHarness, over_proxy: RedisHarness
) -> None:
    await harness.store.create(OWNER, with_question(a_conversation()))
    base = await over_proxy.store.load(REF)
    await harness.store.update(REF, lambda c: with_answer(c, "first"))
    after = await over_proxy.store.update(REF, finishing(), base=base)

    assert texts_of(after) == ["Hello?", "first"]


async def test_a_new_conversation_under_a_forgotten_id_never_gets_the_old_reply(
    harness: RedisHarness,
) -> None:
    old = await _open_conversation(harness)
    await harness.store.forget(REF)
    await harness.store.create(OWNER, with_question(a_conversation(), "something else", 2))
    with pytest.raises(TurnSuperseded):
        await harness.store.update(REF, finishing(), base=old)
    await harness.log.append(REF, turn_of(old), LATE)
    await harness.log.end(REF, turn_of(old), TurnEnd(outcome=Outcome.FINISHED))

    assert texts_of(await harness.store.load(REF)) == ["something else"]
    assert await harness.redis.xlen(log_key(ID)) == 1


async def test_the_bytes_of_an_old_commit_change_nothing_in_a_new_conversation(
    harness: RedisHarness,
) -> None:
    old = await _open_conversation(harness)
    before = (await harness.frames())[-1]
    await harness.store.update(REF, finishing(), base=old)
    late = (await harness.frames())[-1]
    await harness.store.forget(REF)
    answers = [await _splice(harness, before[-16:], late)]
    await harness.store.create(OWNER, with_question(a_conversation(), "something else", 2))
    answers.append(await _splice(harness, before[-16:], late))

    assert answers == [b"GONE", b"CONFLICT"]
    assert texts_of(await harness.store.load(REF)) == ["something else"]


async def test_a_late_finish_creates_no_key(harness: RedisHarness) -> None:
    old = await _open_conversation(harness)
    await harness.store.forget(REF)
    with pytest.raises(ConversationNotFound):
        await harness.store.update(REF, finishing(), base=old)

    assert await harness.redis.keys("*") == [forgotten_key(ID).encode()]


@pytest.mark.parametrize("only_the_log", [True, False])
async def test_a_late_log_entry_creates_no_key(
    harness: RedisHarness, *, only_the_log: bool
) -> None:
    turn = turn_of(await _open_conversation(harness))
    await harness.redis.delete(log_key(ID), *([] if only_the_log else [state_key(ID)]))
    remaining = await harness.redis.keys("*")
    await harness.log.append(REF, turn, LATE)
    await harness.log.append(REF, turn, [])
    await harness.log.stop(TurnRef(REF, turn.id))
    await harness.log.end(REF, turn, TurnEnd(outcome=Outcome.FINISHED))

    assert await harness.redis.keys("*") == remaining


async def test_forgetting_deletes_the_log_of_an_evicted_conversation(
    harness: RedisHarness,
) -> None:
    await _open_conversation(harness)
    await harness.redis.delete(state_key(ID))
    await harness.store.forget(ConversationRef(STRANGER, ID))
    remaining = await harness.redis.keys("*")
    await harness.store.forget(REF)

    assert remaining == [log_key(ID).encode()]
    assert await harness.redis.keys("*") == [forgotten_key(ID).encode()]


async def test_redis_itself_rejects_pieces_after_the_end_and_of_older_turns(
    harness: RedisHarness,
) -> None:
    turn = turn_of(await _open_conversation(harness))
    await harness.log.end(REF, turn, TurnEnd(outcome=Outcome.FINISHED))
    for number in (turn.number, turn.number - 1):
        reply = await harness.client.query_if_allowed(
            *("XADD", log_key(ID), "NOMKSTREAM", f"{number}-7", "d", "late")
        )
        assert reply is None


async def _open_conversation(harness: RedisHarness) -> Conversation:
    conversation = with_question(a_conversation())
    await harness.store.create(OWNER, conversation)
    return conversation


async def _splice(harness: RedisHarness, expected: bytes, frame: bytes) -> bytes:
    answer: bytes = await harness.client.run_script(
        "test",
        SPLICE,
        (state_key(ID), log_key(ID), forgotten_key(ID)),
        *(expected, 1, 60_000, "", "", "", 0, frame),
        repeat=False,
    )
    return answer
