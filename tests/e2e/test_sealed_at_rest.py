"""Message text is nowhere in Redis, on its disk, on the wire to it or in the log.

All of that together with the master key reveals nothing without the client key.
"""

import base64
import os

import pytest
from attrs import field, frozen

from adapters.sealing.key_ring import KeyRing
from adapters.sealing.sealer import NO_FRAME_BEFORE, RecordKind, Sealer, UnsealError
from domain.model.identifiers import Owner, SessionId
from tests.support.hook_server import SECRET, an_answer, fake_hook
from tests.support.native_client import NativeClient
from tests.support.redis_contents import disguises, dump_files, dump_keys, monitoring
from tests.support.redis_servers import RedisProcess
from tests.support.redis_services import (
    redis_client,
    running_service_with_redis,
    serving_with_redis,
)
from tests.support.redis_store import RING

SENTENCE = "Grandmother's kingfisher votes tremendously abstemious underneath Näsijärvi"
MARK = "all that came before this was seen"


@frozen(kw_only=True)
class Loot:
    """The contents of a stolen Redis, and the client's secrets."""

    session_id: SessionId
    frame: bytes
    secret: bytes = field(repr=False)


@pytest.fixture
async def loot(shared_server: RedisProcess) -> Loot:
    async with (
        running_service_with_redis(shared_server) as service,
        redis_client(shared_server) as redis,
    ):
        client = NativeClient(service.url)
        session_id = (await client.send_for_document(SENTENCE))["sessionId"]
        frame = await redis.lindex(f"conversation:state:{session_id}", 0)
    assert isinstance(frame, bytes)
    return Loot(session_id=session_id, frame=frame, secret=secret_in(str(client.cookie)))


async def talked(client: NativeClient) -> str:
    """Store text in every part of a conversation; returns its session id."""
    first = await client.send_for_document(SENTENCE, context=SENTENCE)
    assert SENTENCE in first["reply"]["content"]
    session_id = str(first["sessionId"])
    edit = {"message": SENTENCE, "context": SENTENCE}
    await client.post(f"/api/chat/{session_id}/regenerate", edit)
    patched = await client.patch(f"/api/chat/{session_id}", {"metadata": {"note": SENTENCE}})
    assert patched.status == 200, patched.body
    return session_id


def secret_in(cookie: str) -> bytes:
    """The client's secret: the first part of the client key in the cookie."""
    return base64.urlsafe_b64decode(cookie.partition("=ck_")[2])[:32]


def found(planted: str, places: dict[str, bytes]) -> list[tuple[str, bytes]]:
    return [
        (name, disguise)
        for name, content in places.items()
        for disguise in disguises(planted)
        if disguise in content
    ]


def opened(
    frame: bytes, secret: bytes, session_id: SessionId, kind: RecordKind = RecordKind.STATE
) -> bytes:
    sealer = Sealer(ring=KeyRing.parse(RING), random_bytes=os.urandom)
    return sealer.bound(Owner(secret=secret), kind, session_id).unseal(
        frame, before=NO_FRAME_BEFORE
    )


HOOK_ANSWER = an_answer(
    instructions=SENTENCE,
    passages=[{"title": SENTENCE, "text": SENTENCE}],
    tools=[{"name": "look", "description": SENTENCE}],
    state={SENTENCE: SENTENCE},
)


async def test_neither_messages_nor_keys_are_in_redis(own_server: RedisProcess) -> None:
    async with (
        redis_client(own_server) as redis,
        monitoring(own_server) as monitor,
        fake_hook(*[HOOK_ANSWER] * 3, skips_checks=True) as hook,
        serving_with_redis(
            own_server,
            PRIVITY_LOG_LEVEL="debug",
            PRIVITY_HOOK_URL=hook.url,
            PRIVITY_HOOK_SECRET=SECRET,
        ) as service,
    ):
        client = NativeClient(service.url)
        session_id = await talked(client)
        async with client.streaming(SENTENCE, session_id, key="a-planted-key") as live:
            await live.until("text-delta")
            during = await dump_keys(redis)
            await live.whole()
        after = await dump_keys(redis)
        await monitor.has_seen(redis, MARK)
        disk = await dump_files(redis, own_server.directory)
        service.terminate()
        ended = await service.wait()
    places = {
        "keys": b" ".join([*during, *after]),
        "values": b" ".join([*during.values(), *after.values()]),
        "disk": disk,
        "wire": bytes(monitor.seen),
        "log": (ended.out + ended.err).encode(),
    }

    assert [SENTENCE in request.json["message"]["text"] for request in hook.requests] == [True] * 3
    assert hook.requests[-1].json["state"] == {SENTENCE: SENTENCE}
    naming_the_session = [name for name in places if session_id.encode() in places[name]]
    assert naming_the_session == ["keys", "disk", "wire"]
    assert len([key for key in during if session_id.encode() in key]) == 2
    assert found(SENTENCE, places) == []
    assert halves_found(secret_in(str(client.cookie)), places) == []


def halves_found(secret: bytes, places: dict[str, bytes]) -> list[str]:
    halves = [secret, secret[:16], secret[16:], base64.b64decode(RING.partition(":")[2])]
    needles = [
        spelled
        for half in halves
        for spelled in (half, base64.b64encode(half)[:40], half.hex().encode())
    ]
    return [name for name in places for needle in needles if needle in places[name]]


async def test_a_dump_and_the_master_key_reveal_nothing_without_the_client_key(loot: Loot) -> None:
    master_key = base64.b64decode(RING.partition(":")[2])
    guesses = [bytes(32), master_key, os.urandom(32), loot.frame[5:13] * 4]

    assert opened(loot.frame, loot.secret, loot.session_id)
    for guess in guesses:
        for kind in RecordKind:
            with pytest.raises(UnsealError):
                opened(loot.frame, guess, loot.session_id, kind)


async def test_the_client_key_without_the_master_key_reveals_nothing_either(loot: Loot) -> None:
    ring = KeyRing.random(os.urandom)
    sealer = Sealer(ring=ring, random_bytes=os.urandom)
    bound = sealer.bound(Owner(secret=loot.secret), RecordKind.STATE, loot.session_id)
    under_that_key = loot.frame[:1] + ring.first.key_id + loot.frame[5:]

    for frame in (loot.frame, under_that_key):
        with pytest.raises(UnsealError):
            bound.unseal(frame, before=NO_FRAME_BEFORE)


async def test_the_search_finds_plaintext(own_server: RedisProcess) -> None:
    async with redis_client(own_server) as redis, monitoring(own_server) as monitor:
        await redis.rpush("list", SENTENCE)
        await redis.xadd("stream", {"d": base64.b64encode(SENTENCE.encode())})
        await monitor.has_seen(redis, MARK)
        values = await dump_keys(redis)
        disk = await dump_files(redis, own_server.directory)
    places = {"list": values[b"list"], "stream": values[b"stream"], "disk": disk}

    assert {name for name, _ in found(SENTENCE, places)} == set(places)
    assert found(SENTENCE, {"wire": bytes(monitor.seen)}) != []
    assert halves_found(b"0" * 32, {"log": b"x" + b"0" * 16}) == ["log", "log"]
