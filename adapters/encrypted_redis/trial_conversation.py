"""A conversation that ``privity doctor`` stores, continues, reads and deletes.

It goes through the same adapters as everybody's conversations, with a random owner and session id,
and runs every script of the service. It expires after an hour if it cannot be deleted.
"""

import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Final

from attrs import evolve, field, frozen

from adapters.encrypted_redis.conversation_store import RedisConversationStore
from adapters.encrypted_redis.keys_and_scripts import (
    READINESS_KEYS,
    READY,
    forgotten_key,
    lease_key,
    limit_key,
    log_key,
    state_key,
)
from adapters.encrypted_redis.permission_check import refusal
from adapters.encrypted_redis.process_lease import RedisProcessLease
from adapters.encrypted_redis.rate_limiter import RedisRateLimiter
from adapters.encrypted_redis.redis_client import RedisClient
from adapters.encrypted_redis.turn_log import Batching, RedisTurnLog
from adapters.sealing.key_ring import KeyRing
from adapters.sealing.sealer import Sealer
from domain.model.conversation import Conversation, new_conversation
from domain.model.errors import DomainError
from domain.model.identifiers import (
    OWNER_SECRET_BYTES,
    ConversationRef,
    MessageId,
    Owner,
    ProcessId,
    TurnRef,
)
from domain.model.message import FinishReason, TextPart
from domain.model.piece import NumberedPiece, TextPiece
from domain.model.rate_limits import MINUTE, Charge, Limit, Payer, Quota, Scope, TurnSlot
from domain.model.turn import Outcome, Turn, TurnEnd
from domain.service.turn_lifecycle import NewTurn, add_user_message, finish
from ports.clock import Clock
from ports.errors import PortError
from ports.findings import Finding, Level
from ports.identifier_source import IdentifierSource
from ports.turn_log import AppendResult

TOPIC: Final = "trial conversation"
_QUESTION_ID: Final = MessageId("question")
_QUESTION: Final = TextPart("privity doctor")
_REPLY: Final = TextPiece("ok")
_LIMITS: Final = (
    Limit(quota=Quota.MESSAGES, scope=Scope.CLIENT_KEY, amount=10, window=MINUTE),
    Limit(quota=Quota.OPEN_TURNS, scope=Scope.CLIENT_KEY, amount=10),
)


class _WrongResult(Exception):
    """Redis answered, but not with what was written."""


@frozen(kw_only=True)
class TrialConversation:
    """One conversation of nobody. ``findings`` is called once.

    Attributes:
        writer: the log as the process that runs the turn has it.
        reader: the log as another process has it, which has to ask Redis for every piece.
    """

    client: RedisClient
    clock: Clock
    ref: ConversationRef
    turn: NewTurn
    process: ProcessId
    writer: RedisTurnLog = field(repr=False)
    reader: RedisTurnLog = field(repr=False)
    store: RedisConversationStore = field(repr=False)

    @classmethod
    def new(
        cls, client: RedisClient, ring: KeyRing, clock: Clock, identifiers: IdentifierSource
    ) -> "TrialConversation":
        """A trial with random ids, sealed with the first key of ``ring``."""
        sealer = Sealer(ring=ring, random_bytes=os.urandom)
        writer, reader = (
            RedisTurnLog(client=client, sealer=sealer, clock=clock, batching=Batching())
            for _ in range(2)
        )
        owner = Owner(secret=os.urandom(OWNER_SECRET_BYTES))
        return cls(
            client=client,
            clock=clock,
            ref=ConversationRef(owner, identifiers.session_id()),
            turn=NewTurn(
                turn_id=identifiers.turn_id(), reply_id=identifiers.message_id(), at=clock.now()
            ),
            process=identifiers.process_id(),
            writer=writer,
            reader=reader,
            store=RedisConversationStore(client=client, sealer=sealer, log=writer, clock=clock),
        )

    async def findings(self) -> list[Finding]:
        """One finding: whether each step succeeded, or which step failed and why."""
        steps: tuple[tuple[str, Callable[[], Awaitable[None]]], ...] = (
            ("storing a conversation", self._create),
            ("beginning a turn", self._begin_turn),
            ("writing the log of a turn", self._write_log),
            ("ending a turn", self._end_turn),
            ("deleting a conversation", self._forget),
            ("renewing a lease", self._renew_lease),
            ("counting the limits", self._count_limits),
            ("the readiness check", self._check_readiness),
        )
        try:
            for name, step in steps:
                try:
                    await step()
                except (PortError, DomainError, _WrongResult) as error:
                    return [_failure(name, error)]
        finally:
            await self._delete_keys()
        text = "stored, continued, read and deleted"
        return [Finding(Level.GOOD, TOPIC, text)]

    async def _create(self) -> None:
        at = self.turn.at
        conversation = new_conversation(self.ref.session_id, locale="en", at=at)
        await self.store.create(self.ref.owner, conversation)
        _require((await self.store.load(self.ref)).id == self.ref.session_id)

    async def _begin_turn(self) -> None:
        def begin(conversation: Conversation) -> Conversation:
            begun = add_user_message(
                conversation, self.turn, _QUESTION_ID, (_QUESTION,), is_new=True
            )
            # A new turn would keep the conversation for a day.
            kept = conversation
            return evolve(begun, retained_since=kept.retained_since, retained_for=kept.retained_for)

        await self.store.update(self.ref, begin)
        _require(await self.store.ensure_log(self._turn_ref))

    async def _write_log(self) -> None:
        turn, pieces = await self._open_turn(), [NumberedPiece(1, _REPLY)]
        _require(await self.reader.append(self.ref, turn, pieces) is AppendResult.CONTINUE)
        batch = await self.reader.read(self._turn_ref, 0, timedelta())
        _require(list(batch.pieces) == pieces)
        _require(await self.reader.stop(self._turn_ref))
        _require(await self.reader.append(self.ref, turn, ()) is AppendResult.STOPPED)

    async def _end_turn(self) -> None:
        turn = await self._open_turn()
        await self.store.update(self.ref, self._finished)
        await self.reader.end(self.ref, turn, TurnEnd(outcome=Outcome.FINISHED))
        _require((await self.reader.read(self._turn_ref, 1, timedelta())).end is not None)
        texts = [message.text for message in (await self.store.load(self.ref)).messages]
        _require(texts == [_QUESTION.text, _REPLY.text])

    def _finished(self, conversation: Conversation) -> Conversation:
        ended = finish(
            conversation,
            self.turn.turn_id,
            [_REPLY],
            self.turn.at,
            reason=FinishReason.STOP,
            usage=None,
        )
        kept = conversation
        return evolve(ended, retained_since=kept.retained_since, retained_for=kept.retained_for)

    async def _forget(self) -> None:
        await self.store.forget(self.ref)
        _require(not await self.writer.exists_for(self.ref))

    async def _renew_lease(self) -> None:
        lease = RedisProcessLease(self.process, self.clock)
        # A watched lease is read at each renewal.
        lease.has_ended(ProcessId(f"{self.process}-other"))
        await lease.renew(partial(self.client.call_once, "lease"))

    async def _count_limits(self) -> None:
        limiter = RedisRateLimiter(client=self.client, limits=_LIMITS)
        payer = Payer(client_key=self._payer, address=None)
        charge = Charge(payer=payer, amounts={Quota.MESSAGES: 1})
        slot = TurnSlot(payer=payer, conversation=self._payer, holder=self.turn.turn_id)
        _require(await limiter.consume(charge, slot))
        await limiter.hold(slot)
        await limiter.settle(charge, slot)

    async def _check_readiness(self) -> None:
        await self.client.run_script("ready", READY, READINESS_KEYS, repeat=False)

    async def _delete_keys(self) -> None:
        session_id = self.ref.session_id
        keys = (
            *(key(session_id) for key in (state_key, log_key, forgotten_key)),
            lease_key(self.process),
            *(limit_key(limit.name, self._payer) for limit in _LIMITS),
        )
        with suppress(PortError):
            for key in keys:
                # An error reply to one key must not keep the others.
                await self.client.reply_or_error("DEL", key)

    async def _open_turn(self) -> Turn:
        turn = (await self.store.load(self.ref)).open_turn
        if turn is None:
            raise _WrongResult
        return turn

    @property
    def _turn_ref(self) -> TurnRef:
        return TurnRef(self.ref, self.turn.turn_id)

    @property
    def _payer(self) -> str:
        return f"doctor-{self.process}"


def _require(holds: bool) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise _WrongResult


def _failure(step: str, error: Exception) -> Finding:
    cause = error.__cause__
    if isinstance(error, _WrongResult):
        why = "Redis did not return what was written"
        advice = "Only a single Redis or Valkey works, without a cluster or a caching proxy."
    elif cause is not None:
        why, advice = refusal(cause)
    else:
        why, advice = str(error) or type(error).__name__, "The log of Redis may say more."
    return Finding(Level.PROBLEM, TOPIC, f"{step} failed: {why}", advice)
