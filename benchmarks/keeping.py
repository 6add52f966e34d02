"""Privity's store over a real server, and turns to take with it."""
# ruff: noqa: INP001 - imported by scripts

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial

from attrs import Factory, define

from adapters.encrypted_redis.connecting import RedisAddress, open_redis
from adapters.encrypted_redis.conversation_store import RedisConversationStore
from adapters.encrypted_redis.turn_log import Batching, RedisTurnLog
from adapters.observability.structured_log import StructuredLog
from adapters.sealing.key_ring import KeyRing
from adapters.sealing.sealer import Sealer
from adapters.system.clock import SystemClock
from adapters.system.identifier_source import RandomIdentifiers
from domain.model.conversation import Conversation
from domain.model.identifiers import ConversationRef, Owner, SessionId
from domain.model.message import FinishReason, TextPart, Usage
from domain.model.piece import TextPiece
from domain.service.turn_lifecycle import NewTurn, add_user_message, finish, new_conversation
from ports.conversation_store import Change

NAMES = RandomIdentifiers()
AT_HAND = 200
"""Messages that a use case asks for when it opens a turn."""


@asynccontextmanager
async def sealed_store(port: int) -> AsyncIterator[RedisConversationStore]:
    """The store as the container wires it."""
    clock = SystemClock()
    place = RedisAddress(url=f"redis://127.0.0.1:{port}/0")
    async with open_redis(place, clock=clock, telemetry=StructuredLog(str)) as commands:
        sealer = Sealer(ring=KeyRing.random(os.urandom), random_bytes=os.urandom)
        log = RedisTurnLog(commands=commands, sealer=sealer, clock=clock, batching=Batching())
        yield RedisConversationStore(commands=commands, sealer=sealer, log=log, clock=clock)


def _opening() -> NewTurn:
    return NewTurn(turn_id=NAMES.turn_id(), reply_id=NAMES.message_id(), at=datetime.now(UTC))


@define
class Talk:
    """Somebody and their conversation, which begins with the first turn, as in a use case."""

    store: RedisConversationStore
    locale: str
    owner: Owner = Factory(lambda: Owner(secret=os.urandom(32)))
    session_id: SessionId = Factory(NAMES.session_id)
    _is_new: bool = True
    _opening: NewTurn = Factory(_opening)
    _begun: Conversation | None = None

    async def take_turn(self, question: str, reply: str) -> None:
        """Question and reply, each durable when it is acknowledged."""
        await self.begin(question)
        await self.end(reply)

    async def continued(self, known: Conversation, question: str, reply: str) -> Conversation:
        """The same without a read; the conversation after it."""
        self._opening = _opening()
        asking = _asking(self._opening, question)
        self._begun = await self.store.update(
            ConversationRef(self.owner, self.session_id), asking, base=known
        )
        return await self.end(reply)

    async def begin(self, question: str) -> None:
        """The first half of a turn."""
        self._opening = _opening()
        asking = _asking(self._opening, question)
        if self._is_new:
            empty = new_conversation(self.session_id, locale=self.locale, at=self._opening.at)
            await self.store.create(self.owner, asking(empty))
        else:
            self._begun = await self.store.update(
                ConversationRef(self.owner, self.session_id), asking, last=AT_HAND
            )
        self._is_new = False

    async def end(self, reply: str) -> Conversation:
        """The second half."""
        answering: Change = partial(
            finish,
            turn_id=self._opening.turn_id,
            pieces=(TextPiece(reply),),
            at=datetime.now(UTC),
            reason=FinishReason.STOP,
            usage=Usage(input_tokens=len(reply), output_tokens=len(reply)),
        )
        begun, self._begun = self._begun, None
        return await self.store.update(
            ConversationRef(self.owner, self.session_id), answering, base=begun
        )


def _asking(opening: NewTurn, question: str) -> Change:
    parts = (TextPart(question),)
    return partial(
        add_user_message, opening=opening, message_id=NAMES.message_id(), parts=parts, is_new=True
    )
