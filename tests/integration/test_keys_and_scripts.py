"""Every key has an end, and scripts that the server lost are given to it again."""

import os
from datetime import timedelta

from adapters.encrypted_redis.conversation_store import Commit
from adapters.encrypted_redis.frame_reader import FrameReader, newest_messages
from adapters.encrypted_redis.keys_and_scripts import log_key
from adapters.sealing.key_ring import KeyRing
from adapters.sealing.sealer import RecordKind, Sealer
from domain.model.identifiers import TurnRef
from domain.model.piece import NumberedPiece, TextPiece
from domain.model.turn import Outcome, TurnEnd
from tests.support.builders import ID, OWNER, REF, a_conversation, texts_of, turn_of, with_question
from tests.support.changes import finishing
from tests.support.redis_store import RING, RedisHarness

PIECES = [NumberedPiece(1, TextPiece("said"))]


async def test_scripts_that_the_server_lost_are_given_to_it_again(harness: RedisHarness) -> None:
    conversation = with_question(a_conversation())
    await harness.store.create(OWNER, conversation)
    turn = turn_of(conversation)
    for step in (
        lambda: harness.log.append(REF, turn, PIECES),
        lambda: harness.log.read(TurnRef(REF, turn.id), 0, timedelta()),
        lambda: harness.log.stop(TurnRef(REF, turn.id)),
        lambda: harness.store.update(REF, finishing(), base=conversation),
        lambda: harness.log.end(REF, turn, TurnEnd(outcome=Outcome.FINISHED)),
    ):
        await harness.redis.script_flush()
        await step()

    assert texts_of(await harness.store.load(REF)) == ["Hello?", "Hi!"]
    assert harness.telemetry.events == []


async def test_every_key_has_an_end(harness: RedisHarness) -> None:
    async def ends() -> list[bool]:
        return [await harness.redis.pttl(key) > 0 for key in await harness.redis.keys("*")]

    conversation = with_question(a_conversation())
    await harness.store.create(OWNER, conversation)
    turn = turn_of(conversation)
    seen = [await ends()]
    for _ in range(2):
        await harness.log.append(REF, turn, PIECES)
        seen.append(await ends())
    await harness.store.update(REF, lambda c: c)
    await harness.store.update(REF, finishing())
    await harness.log.end(REF, turn, TurnEnd(outcome=Outcome.FINISHED))
    seen.append(await ends())

    assert seen == [[True, True]] * 4


async def test_a_log_is_opened_again_for_exactly_what_was_read(harness: RedisHarness) -> None:
    conversation = with_question(a_conversation())
    await harness.store.create(OWNER, conversation)
    sealer = Sealer(ring=KeyRing.parse(RING), random_bytes=os.urandom)
    reader = FrameReader(harness.client, ID, sealer.bound(OWNER, RecordKind.STATE, ID))
    read, commit = await reader.read(newest_messages(1)), Commit(harness.client, harness.log)
    await harness.redis.delete(log_key(ID))
    await harness.store.update(REF, finishing())
    overtaken = await commit.ensure_log(OWNER, read, turn_of(conversation))
    await harness.store.forget(REF)
    forgotten = await commit.ensure_log(OWNER, read, turn_of(conversation))

    assert (overtaken, forgotten) == (b"CONFLICT", b"GONE")
    assert await harness.redis.keys("*") == []
