"""Privity's store over a real server, and turns to take with it."""
# ruff: noqa: INP001 - imported by scripts

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial

from attrs import frozen

from adapters.encrypted_redis.conversation_store import RedisConversationStore
from adapters.encrypted_redis.opening import RedisPlace, open_redis
from adapters.encrypted_redis.turn_log import Batching, RedisTurnLog
from adapters.observability.structured_log import StructuredLog
from adapters.sealing.key_ring import KeyRing
from adapters.sealing.sealer import Sealer
from adapters.system.clock import SystemClock
from adapters.system.identifier_source import RandomIdentifiers
from domain.model.identifiers import Owner, SessionId
from domain.model.message import FinishReason, TextPart, Usage
from domain.model.piece import TextPiece
from domain.service.opening import opened
from domain.service.turn_ending import finish
from domain.service.turn_taking import Opening, say
from ports.conversation_store import Change

NAMES = RandomIdentifiers()
AT_HAND = 200
"""Messages that a use case asks for when it opens a turn."""


@asynccontextmanager
async def sealed_store(port: int) -> AsyncIterator[RedisConversationStore]:
    """The store as the container wires it."""
    clock = SystemClock()
    place = RedisPlace(url=f"redis://127.0.0.1:{port}/0")
    async with open_redis(place, clock=clock, telemetry=StructuredLog(str)) as commands:
        sealer = Sealer(ring=KeyRing.random(os.urandom), random_bytes=os.urandom)
        log = RedisTurnLog(commands=commands, sealer=sealer, clock=clock, batching=Batching())
        yield RedisConversationStore(commands=commands, sealer=sealer, log=log, clock=clock)


@frozen
class Person:
    """Somebody with a conversation."""

    owner: Owner
    session_id: SessionId


def somebody() -> Person:
    """Somebody new."""
    return Person(Owner(secret=os.urandom(32)), NAMES.session_id())


async def meet(store: RedisConversationStore, person: Person, locale: str) -> None:
    """Their conversation, still empty."""
    now = datetime.now(UTC)
    await store.create(person.owner, opened(person.session_id, locale=locale, at=now))


async def take_turn(
    store: RedisConversationStore, person: Person, question: str, reply: str
) -> None:
    """Question and reply, as a use case has them stored."""
    opening = Opening(turn_id=NAMES.turn_id(), reply_id=NAMES.message_id(), at=datetime.now(UTC))
    parts = (TextPart(question),)
    asking: Change = partial(say, opening=opening, message_id=NAMES.message_id(), parts=parts)
    begun = await store.update(person.owner, person.session_id, asking, last=AT_HAND)
    usage = Usage(input_tokens=len(question), output_tokens=len(reply))
    answering: Change = partial(
        finish,
        turn_id=opening.turn_id,
        pieces=(TextPiece(reply),),
        at=datetime.now(UTC),
        reason=FinishReason.STOP,
        usage=usage,
    )
    await store.update(person.owner, person.session_id, answering, base=begun)
