"""What somebody else put where a turn's log belongs is unreadable, whatever it looks like."""

from datetime import timedelta

import pytest

from adapters.encrypted_redis.keys_and_scripts import log_key
from domain.model.identifiers import TurnRef
from domain.model.turn import Turn
from ports.errors import StoredStateUnreadable
from tests.support.builders import ID, OWNER, REF, a_conversation, numbered, turn_of, with_question
from tests.support.redis_store import RedisHarness

AT_ONCE = timedelta()
FOREIGN = [
    {"t": "x"},
    {"t": "not hex", "d": "sealed?"},
    {"t": b"\xff\xfe", "d": b"\xff"},
    {"d": "1"},
]


async def logged(harness: RedisHarness) -> Turn:
    """The open turn of a conversation, with four pieces in its log."""
    conversation = with_question(a_conversation())
    turn = turn_of(conversation)
    await harness.store.create(OWNER, conversation)
    for first in (1, 3):
        await harness.log.append(REF, turn, numbered("so ", "many ", first=first))
    return turn


@pytest.mark.parametrize("fields", FOREIGN)
async def test_another_head_is_unreadable(
    harness: RedisHarness, fields: dict[str, str | bytes]
) -> None:
    await harness.redis.xadd(log_key(ID), fields, "1-0")  # type: ignore[arg-type] # invariant

    with pytest.raises(StoredStateUnreadable):
        await harness.log.exists_for(REF)


async def test_an_entry_without_content_is_unreadable(harness: RedisHarness) -> None:
    turn = await logged(harness)
    await harness.redis.xadd(log_key(ID), {"d": "nothing sealed"}, "1-9")
    harness.log.drop_local(ID)

    with pytest.raises(StoredStateUnreadable):
        await harness.log.read(TurnRef(REF, turn.id), 0, AT_ONCE)


async def test_a_log_from_which_an_entry_was_taken_is_unreadable(harness: RedisHarness) -> None:
    turn = await logged(harness)
    harness.log.drop_local(ID)
    await harness.redis.xdel(log_key(ID), "1-2")

    with pytest.raises(StoredStateUnreadable):
        await harness.log.read(TurnRef(REF, turn.id), 0, AT_ONCE)
