"""Privity's store on a real Redis server, and a conversation to take turns in."""
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
from domain.model.conversation import WORKING_MEMORY, Conversation, new_conversation
from domain.model.identifiers import ConversationRef, Owner, SessionId
from domain.model.message import FinishReason, TextPart, Usage
from domain.model.piece import TextPiece
from domain.service.turn_lifecycle import NewTurn, add_user_message, finish
from ports.conversation_store import Change

IDENTIFIERS = RandomIdentifiers()


@asynccontextmanager
async def sealed_store(port: int) -> AsyncIterator[RedisConversationStore]:
    """The store, wired as in ``entrypoints/container.py``."""
    clock = SystemClock()
    address = RedisAddress(url=f"redis://127.0.0.1:{port}/0")
    async with open_redis(address, clock=clock, telemetry=StructuredLog(str)) as client:
        sealer = Sealer(ring=KeyRing.random(os.urandom), random_bytes=os.urandom)
        log = RedisTurnLog(client=client, sealer=sealer, clock=clock, batching=Batching())
        yield RedisConversationStore(client=client, sealer=sealer, log=log, clock=clock)


def new_turn() -> NewTurn:
    """The ids and the time of a turn."""
    return NewTurn(
        turn_id=IDENTIFIERS.turn_id(), reply_id=IDENTIFIERS.message_id(), at=datetime.now(UTC)
    )


@define
class StoredChat:
    """A user and a conversation, which is created by its first turn, as in a use case."""

    store: RedisConversationStore
    locale: str
    owner: Owner = Factory(lambda: Owner(secret=os.urandom(32)))
    session_id: SessionId = Factory(IDENTIFIERS.session_id)
    _is_new: bool = True
    _turn: NewTurn = Factory(new_turn)
    _open: Conversation | None = None

    async def take_turn(self, question: str, reply: str) -> None:
        """Store a question and its reply in two commits, each acknowledged."""
        await self.begin(question)
        await self.end(reply)

    async def take_turn_on(self, loaded: Conversation, question: str, reply: str) -> Conversation:
        """Like ``take_turn``, but without reading; returns ``loaded`` with the new turn."""
        self._turn = new_turn()
        change = with_question(self._turn, question)
        self._open = await self.store.update(
            ConversationRef(self.owner, self.session_id), change, base=loaded
        )
        return await self.end(reply)

    async def begin(self, question: str) -> None:
        """Store the question, which opens the turn."""
        self._turn = new_turn()
        change = with_question(self._turn, question)
        if self._is_new:
            empty = new_conversation(self.session_id, locale=self.locale, at=self._turn.at)
            await self.store.create(self.owner, change(empty))
        else:
            self._open = await self.store.update(
                ConversationRef(self.owner, self.session_id), change, last=WORKING_MEMORY
            )
        self._is_new = False

    async def end(self, reply: str) -> Conversation:
        """Store the reply, which ends the turn."""
        change = with_reply(self._turn, reply)
        opened, self._open = self._open, None
        return await self.store.update(
            ConversationRef(self.owner, self.session_id), change, base=opened
        )


def with_question(turn: NewTurn, question: str) -> Change:
    """Opens the turn."""
    parts = (TextPart(question),)
    return partial(
        add_user_message,
        new_turn=turn,
        message_id=IDENTIFIERS.message_id(),
        parts=parts,
        is_new=True,
    )


def with_reply(turn: NewTurn, reply: str) -> Change:
    """Finishes the turn."""
    return partial(
        finish,
        turn_id=turn.turn_id,
        pieces=(TextPiece(reply),),
        at=datetime.now(UTC),
        reason=FinishReason.STOP,
        usage=Usage(input_tokens=len(reply), output_tokens=len(reply)),
    )
