"""Writes whose answers were lost, that come late, or twice, against a real server."""

from collections.abc import AsyncIterator

import pytest

from adapters.encrypted_redis.keys_and_scripts import SPLICE, log_key, state_key
from domain.model.conversation import Conversation
from domain.model.errors import ConversationNotFound, TurnSuperseded
from domain.model.piece import NumberedPiece, TextPiece
from domain.model.turn import Outcome, TurnEnd
from tests.support.builders import (
    ID,
    OWNER,
    STRANGER,
    a_conversation,
    answered,
    asked,
    texts_of,
    turn_of,
)
from tests.support.changes import asking, finishing
from tests.support.proxies import Proxy, proxy_to
from tests.support.redis_servers import RedisProcess
from tests.support.redis_store import Storing, storing, talked

LATE = [NumberedPiece(1, TextPiece("late"))]


@pytest.fixture
async def proxy(shared_server: RedisProcess) -> AsyncIterator[Proxy]:
    async with proxy_to(shared_server.port) as proxy:
        yield proxy


@pytest.fixture
async def over_proxy(proxy: Proxy) -> AsyncIterator[Storing]:
    """A second process, so to say, over a network that may lose answers."""
    async with storing(f"redis://127.0.0.1:{proxy.port}/0") as storing_over_it:
        await storing_over_it.commands.call_idempotent("test", "PING")
        yield storing_over_it


async def commits(kept: Storing) -> int:
    """How many scripts the server has run."""
    told = await kept.redis.info("commandstats")
    return int(told["cmdstat_evalsha"]["calls"])


async def test_a_commit_whose_answer_was_lost_is_repeated_and_changes_nothing_twice(
    kept: Storing, over_proxy: Storing, proxy: Proxy
) -> None:
    await talked(kept, 1)
    before, run = await kept.frames(), await commits(kept)
    known = await over_proxy.store.load(OWNER, ID)
    proxy.answers_to_lose = 1
    await over_proxy.store.update(OWNER, ID, asking("once", 2), base=known)

    assert proxy.answers_to_lose == 0
    assert await commits(kept) == run + 2
    assert len(await kept.frames()) == len(before) + 1
    assert texts_of(await kept.store.load(OWNER, ID)) == ["question 1", "answer 1", "once"]
    assert await kept.redis.xlen(log_key(ID)) == 1


async def test_a_creation_whose_answer_was_lost_has_been_made_once(
    kept: Storing, over_proxy: Storing, proxy: Proxy
) -> None:
    await talked(kept, 1)
    await kept.store.forget(OWNER, ID)
    proxy.answers_to_lose = 1
    await over_proxy.store.create(OWNER, asked(a_conversation()))

    assert len(await kept.frames()) == 1


async def test_a_finish_that_another_writer_overtook_is_still_done_once(
    kept: Storing, over_proxy: Storing
) -> None:
    await kept.store.create(OWNER, asked(a_conversation()))
    known = await over_proxy.store.load(OWNER, ID)
    await kept.store.update(OWNER, ID, lambda c: answered(c, "first"))
    after = await over_proxy.store.update(OWNER, ID, finishing(), base=known)

    assert texts_of(after) == ["Hello?", "first"]


async def test_a_forgotten_id_that_is_used_again_never_receives_the_old_reply(
    kept: Storing,
) -> None:
    old = await _opened(kept)
    await kept.store.forget(OWNER, ID)
    await kept.store.create(OWNER, asked(a_conversation(), "something else", 2))
    with pytest.raises(TurnSuperseded):
        await kept.store.update(OWNER, ID, finishing(), base=old)
    await kept.log.append(OWNER, ID, turn_of(old), LATE)
    await kept.log.end(OWNER, ID, turn_of(old), TurnEnd(outcome=Outcome.FINISHED))

    assert texts_of(await kept.store.load(OWNER, ID)) == ["something else"]
    assert await kept.redis.xlen(log_key(ID)) == 1


async def test_the_very_bytes_of_an_old_commit_change_nothing_of_a_new_conversation(
    kept: Storing,
) -> None:
    old = await _opened(kept)
    before = (await kept.frames())[-1]
    await kept.store.update(OWNER, ID, finishing(), base=old)
    late = (await kept.frames())[-1]
    await kept.store.forget(OWNER, ID)
    answers = [await _spliced(kept, before[-16:], late)]
    await kept.store.create(OWNER, asked(a_conversation(), "something else", 2))
    answers.append(await _spliced(kept, before[-16:], late))

    assert answers == [b"GONE", b"CONFLICT"]
    assert texts_of(await kept.store.load(OWNER, ID)) == ["something else"]


async def test_a_late_finish_brings_no_key_back(kept: Storing) -> None:
    old = await _opened(kept)
    await kept.store.forget(OWNER, ID)
    with pytest.raises(ConversationNotFound):
        await kept.store.update(OWNER, ID, finishing(), base=old)

    assert await kept.redis.keys("*") == []


@pytest.mark.parametrize("only_the_log", [True, False])
async def test_a_late_log_entry_brings_no_key_back(kept: Storing, *, only_the_log: bool) -> None:
    turn = turn_of(await _opened(kept))
    await kept.redis.delete(log_key(ID), *([] if only_the_log else [state_key(ID)]))
    left = await kept.redis.keys("*")
    await kept.log.append(OWNER, ID, turn, LATE)
    await kept.log.append(OWNER, ID, turn, [])
    await kept.log.stop(OWNER, ID, turn.id)
    await kept.log.end(OWNER, ID, turn, TurnEnd(outcome=Outcome.FINISHED))

    assert await kept.redis.keys("*") == left


async def test_forgetting_takes_a_log_along_whose_conversation_was_evicted(kept: Storing) -> None:
    await _opened(kept)
    await kept.redis.delete(state_key(ID))
    await kept.store.forget(STRANGER, ID)
    left = await kept.redis.keys("*")
    await kept.store.forget(OWNER, ID)

    assert left == [log_key(ID).encode()]
    assert await kept.redis.keys("*") == []


async def test_redis_itself_refuses_pieces_behind_the_end_and_of_older_turns(
    kept: Storing,
) -> None:
    turn = turn_of(await _opened(kept))
    await kept.log.end(OWNER, ID, turn, TurnEnd(outcome=Outcome.FINISHED))
    for number in (turn.number, turn.number - 1):
        refused = await kept.commands.query_if_allowed(
            *("XADD", log_key(ID), "NOMKSTREAM", f"{number}-7", "d", "late")
        )
        assert refused is None


async def _opened(kept: Storing) -> Conversation:
    conversation = asked(a_conversation())
    await kept.store.create(OWNER, conversation)
    return conversation


async def _spliced(kept: Storing, expected: bytes, frame: bytes) -> bytes:
    answer: bytes = await kept.commands.run_script(
        "test",
        SPLICE,
        (state_key(ID), log_key(ID)),
        *(expected, 1, 60_000, "", "", "", 0, frame),
        repeat=False,
    )
    return answer
