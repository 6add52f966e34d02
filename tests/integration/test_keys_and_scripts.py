"""Every key has an end, and scripts that the server lost are given to it again."""

import os
from datetime import timedelta

from adapters.encrypted_redis.conversation_store import Commit
from adapters.encrypted_redis.frame_reader import FrameReader, newest_messages
from adapters.encrypted_redis.keys_and_scripts import log_key
from adapters.sealing.key_ring import KeyRing
from adapters.sealing.sealer import RecordKind, Sealer
from domain.model.piece import NumberedPiece, TextPiece
from domain.model.turn import Outcome, TurnEnd
from tests.support.builders import ID, OWNER, a_conversation, asked, texts_of, turn_of
from tests.support.changes import finishing
from tests.support.redis_store import RING, Storing

PIECES = [NumberedPiece(1, TextPiece("said"))]


async def test_scripts_that_the_server_lost_are_given_to_it_again(kept: Storing) -> None:
    conversation = asked(a_conversation())
    await kept.store.create(OWNER, conversation)
    turn = turn_of(conversation)
    for step in (
        lambda: kept.log.append(OWNER, ID, turn, PIECES),
        lambda: kept.log.read(OWNER, ID, turn.id, 0, timedelta()),
        lambda: kept.log.stop(OWNER, ID, turn.id),
        lambda: kept.store.update(OWNER, ID, finishing(), base=conversation),
        lambda: kept.log.end(OWNER, ID, turn, TurnEnd(outcome=Outcome.FINISHED)),
    ):
        await kept.redis.script_flush()
        await step()

    assert texts_of(await kept.store.load(OWNER, ID)) == ["Hello?", "Hi!"]
    assert kept.notes.events == []


async def test_every_key_has_an_end(kept: Storing) -> None:
    async def ends() -> list[bool]:
        return [await kept.redis.pttl(key) > 0 for key in await kept.redis.keys("*")]

    conversation = asked(a_conversation())
    await kept.store.create(OWNER, conversation)
    turn = turn_of(conversation)
    seen = [await ends()]
    for _ in range(2):
        await kept.log.append(OWNER, ID, turn, PIECES)
        seen.append(await ends())
    await kept.store.update(OWNER, ID, lambda c: c)
    await kept.store.update(OWNER, ID, finishing())
    await kept.log.end(OWNER, ID, turn, TurnEnd(outcome=Outcome.FINISHED))
    seen.append(await ends())

    assert seen == [[True, True]] * 4


async def test_a_log_is_opened_again_for_exactly_what_was_read(kept: Storing) -> None:
    conversation = asked(a_conversation())
    await kept.store.create(OWNER, conversation)
    sealer = Sealer(ring=KeyRing.parse(RING), random_bytes=os.urandom)
    reader = FrameReader(kept.commands, ID, sealer.bound(OWNER, RecordKind.STATE, ID))
    read, commit = await reader.read(newest_messages(1)), Commit(kept.commands, kept.log)
    await kept.redis.delete(log_key(ID))
    await kept.store.update(OWNER, ID, finishing())
    overtaken = await commit.ensure_log(OWNER, read, turn_of(conversation))
    await kept.store.forget(OWNER, ID)
    forgotten = await commit.ensure_log(OWNER, read, turn_of(conversation))

    assert (overtaken, forgotten) == (b"CONFLICT", b"GONE")
    assert await kept.redis.keys("*") == []
