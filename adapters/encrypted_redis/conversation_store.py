"""Conversations in Redis, as lists of sealed frames. See ``docs/redis_layout.md``."""

import random
import weakref
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Final, TypeVar

from attrs import frozen

from adapters.encrypted_redis.frame_chain import (
    FrameChain,
    ReadFrames,
    Stored,
    StoredPage,
    assemble,
    page_of,
)
from adapters.encrypted_redis.frame_reader import (
    FrameReader,
    StopReading,
    all_frames,
    enough_to_write,
    messages_below,
    newest_messages,
)
from adapters.encrypted_redis.frame_writer import Write, first_write, next_write, require_room
from adapters.encrypted_redis.keys_and_scripts import (
    FORGET,
    FORGOTTEN_TTL,
    REOPEN,
    SPLICE,
    forgotten_key,
    log_key,
    milliseconds,
    state_key,
)
from adapters.encrypted_redis.redis_client import RedisClient
from adapters.encrypted_redis.turn_log import RedisTurnLog
from adapters.sealing.sealer import (
    BoundSealer,
    MasterKeyMissing,
    Ownership,
    RecordKind,
    Sealer,
)
from domain.model.conversation import Conversation, Extent, newly_opened, retention_restarted
from domain.model.errors import (
    ConversationExists,
    ConversationGone,
    ConversationNotFound,
    OlderMessagesNeeded,
)
from domain.model.identifiers import ConversationRef, Owner, TurnRef
from domain.model.turn import Turn
from ports.clock import Clock
from ports.conversation_store import Change, Page, Predicate
from ports.errors import ConversationBusy, StoredStateUnreadable

KEEP_TTL: Final = timedelta()
"""A commit with this ttl leaves the conversation's ttl as it is."""

_EXPIRY_TOLERANCE: Final = timedelta(minutes=1)
"""How much later than its sealed expiry a conversation may be read, because clocks differ."""

_UPDATE_TIMEOUT: Final = timedelta(seconds=5)
_SHORTEST_PAUSE: Final = timedelta(milliseconds=2)
_LONGEST_PAUSE: Final = timedelta(milliseconds=100)
_ABOVE_ALL_NUMBERS: Final = 2**63
_Read = TypeVar("_Read", Stored, StoredPage)
_NO_LOG: Final = ("", "", "", 0)


class RedisConversationStore:
    """Stores conversations as frames that open only with the owner's key and the master key."""

    def __init__(
        self, *, client: RedisClient, sealer: Sealer, log: RedisTurnLog, clock: Clock
    ) -> None:
        """``clock`` tells what has expired, and times how long an update competes with others."""
        self._client = client
        self._sealer = sealer
        self._log = log
        self._writer = StateWriter(client, log)
        self._clock = clock
        self._chains = ChainCache()

    async def create(self, owner: Owner, conversation: Conversation) -> None:
        """See ``ports.conversation_store.ConversationStateStore.create``."""
        ref = ConversationRef(owner, conversation.id)
        sealer = self._sealer_for(ref)
        write = first_write(conversation, sealer)
        require_room(None, write.after)
        reply = await self._writer.commit(
            ref, write, conversation.open_turn, conversation.retained_for
        )
        if reply == b"FORGOTTEN":
            raise ConversationGone
        if reply != b"OK":
            raise ConversationExists
        self._chains.remember(owner, write.after, sealer)

    async def load(self, ref: ConversationRef, last: Extent = None) -> Conversation:
        """See ``ports.conversation_store.ConversationStateStore.load``."""
        sealer = self._sealer_for(ref)
        stored = await self._read(ref, sealer, newest_messages(last))
        return self._chains.remember(ref.owner, stored, sealer)

    async def page(self, ref: ConversationRef, before: int | None, limit: int) -> Page:
        """See ``ports.conversation_store.ConversationStateStore.page``."""
        number = _ABOVE_ALL_NUMBERS if before is None else before
        read = await self._read_as(
            partial(page_of, number=number, limit=limit),
            ref,
            self._sealer_for(ref),
            messages_below(number, limit),
            below=number,
        )
        return Page(messages=read.messages, next=read.messages[0].number if read.has_more else None)

    async def update(
        self,
        ref: ConversationRef,
        change: Change,
        base: Conversation | None = None,
        last: Extent = None,
    ) -> Conversation:
        """See ``ports.conversation_store.ConversationStateStore.update``."""
        deadline, conflicts = self._clock.monotonic() + _UPDATE_TIMEOUT, 0
        cached = self._chains.find(ref, base)
        if base is not None and cached is not None and not self._has_expired(base):
            stored, sealer = Stored(base, cached.chain), cached.sealer
        else:
            sealer = self._sealer_for(ref)
            stored = await self._read(ref, sealer, enough_to_write(last))
        while True:
            stored, changed = await self._apply(change, ref, stored, sealer)
            if changed != stored.conversation:
                written = await self._commit(ref, stored, changed, sealer)
            else:
                written = stored
            if written is not None:
                return self._chains.remember(ref.owner, written, sealer)
            conflicts += 1
            if self._clock.monotonic() >= deadline:
                raise ConversationBusy
            await self._clock.sleep(_pause_after(conflicts))
            stored = await self._read(ref, sealer, enough_to_write(last))

    async def ensure_log(self, turn_ref: TurnRef) -> bool:
        """See ``ports.conversation_store.ConversationStateStore.ensure_log``."""
        ref = turn_ref.conversation
        sealer = self._sealer_for(ref)
        while True:
            try:
                stored = await self._read(ref, sealer, newest_messages(1))
            except ConversationNotFound:
                return False
            turn = stored.conversation.open_turn
            if turn is None or turn.id != turn_ref.turn_id:
                return False
            if await self._writer.ensure_log(ref, stored, turn) in (b"OK", b"OPENED"):
                return True

    async def forget(self, ref: ConversationRef) -> None:
        """See ``ports.conversation_store.ConversationStateStore.forget``."""
        sealer = self._sealer_for(ref)
        frames = await FrameReader(self._client, ref.session_id, sealer).newest()
        owners = {sealer.ownership(frame) for frame in frames}
        if frames and Ownership.MINE not in owners:
            if owners == {Ownership.OTHER}:
                return
            # No frame is known to be this owner's, so this owner may not delete them.
            cause = MasterKeyMissing() if Ownership.KEY_MISSING in owners else None
            with self._client.reporting_unreadable(ref.session_id):
                raise StoredStateUnreadable from cause
        if not frames and not await self._log.exists_for(ref):
            return
        await self._writer.forget(ref)

    async def forget_if(self, ref: ConversationRef, predicate: Predicate) -> None:
        """See ``ports.conversation_store.ConversationStateStore.forget_if``."""
        sealer = self._sealer_for(ref)
        with suppress(ConversationNotFound):
            while True:
                stored = await self._read(ref, sealer, newest_messages(1))
                if not predicate(stored.conversation):
                    return
                if await self._writer.forget(ref, stored) != b"CONFLICT":
                    return

    def _sealer_for(self, ref: ConversationRef) -> BoundSealer:
        return self._sealer.bound(ref.owner, RecordKind.STATE, ref.session_id)

    async def _read(
        self, ref: ConversationRef, sealer: BoundSealer, is_enough: StopReading
    ) -> Stored:
        return await self._read_as(assemble, ref, sealer, is_enough)

    async def _read_as(
        self,
        made_of: Callable[[ReadFrames], _Read],
        ref: ConversationRef,
        sealer: BoundSealer,
        is_enough: StopReading,
        below: int | None = None,
    ) -> _Read:
        reader = FrameReader(self._client, ref.session_id, sealer)
        while True:
            read = await reader.read_as(made_of, is_enough, below)
            if not self._has_expired(read.conversation):
                return read
            # Redis still has it, because somebody put it back or because it lost its ttl.
            if await self._writer.forget(ref, read) != b"CONFLICT":
                raise ConversationNotFound

    def _has_expired(self, conversation: Conversation) -> bool:
        return self._clock.now() > conversation.expires_at + _EXPIRY_TOLERANCE

    async def _apply(
        self, change: Change, ref: ConversationRef, stored: Stored, sealer: BoundSealer
    ) -> tuple[Stored, Conversation]:
        """What is stored, and the conversation after ``change``; reads all frames if necessary."""
        try:
            changed = change(stored.conversation)
            if stored.chain.is_whole or not self._must_reseal(stored, changed):
                return stored, changed
        except OlderMessagesNeeded:
            if stored.chain.is_whole:
                raise
        whole = await self._read(ref, sealer, all_frames)
        return whole, change(whole.conversation)

    def _must_reseal(self, stored: Stored, changed: Conversation) -> bool:
        """Whether a commit has to seal all frames again.

        A commit that restarts the retention leaves no frame sealed with an older key. So a key can
        be removed 24 hours after it was last used to seal.
        """
        is_restarted = retention_restarted(stored.conversation, changed)
        return is_restarted and not stored.chain.is_sealed_with(self._sealer.key_id)

    async def _commit(
        self, ref: ConversationRef, stored: Stored, changed: Conversation, sealer: BoundSealer
    ) -> Stored | None:
        """What is stored now; None if another writer was faster.

        Raises:
            ConversationNotFound: it was forgotten or has expired.
            ConversationFull: it would exceed a size limit.
        """
        reseal_all = self._must_reseal(stored, changed)
        write = next_write(stored, changed, sealer, reseal_all=reseal_all)
        require_room(stored, write.after)
        is_restarted = retention_restarted(stored.conversation, changed)
        ttl = changed.retained_for if is_restarted else KEEP_TTL
        new_turn = newly_opened(stored.conversation, changed)
        reply = await self._writer.commit(ref, write, new_turn, ttl)
        if reply == b"GONE":
            raise ConversationNotFound
        return write.after if reply == b"OK" else None


def _pause_after(conflicts: int) -> timedelta:
    longest: timedelta = min(_SHORTEST_PAUSE * (1 << min(conflicts, 10)), _LONGEST_PAUSE)
    return longest * random.random()  # noqa: S311 - only keeps writers apart


class StateWriter:
    """Changes a conversation and its log together, with one script per call.

    A call can be repeated safely: the script recognises what was already done.
    """

    def __init__(self, client: RedisClient, log: RedisTurnLog) -> None:
        """``log`` keeps in memory the pieces of the turns that are opened here."""
        self._client = client
        self._log = log

    async def commit(
        self, ref: ConversationRef, write: Write, new_turn: Turn | None, ttl: timedelta
    ) -> bytes:
        """Carry out ``write``, and open the log of ``new_turn``.

        Returns:
            ``OK``; ``EXISTS`` if a new conversation's id is taken; ``FORGOTTEN`` if a new
            conversation with this turn was just forgotten; ``CONFLICT`` if another writer was
            faster; ``GONE`` if the conversation is no longer stored.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        log_writer = None if new_turn is None else self._log.writer(ref, new_turn)
        with self._client.reporting_unreadable(ref.session_id):
            reply: bytes = await self._client.run_script(
                "commit",
                SPLICE,
                _keys(ref),
                write.expected,
                write.drop,
                milliseconds(ttl),
                *(_NO_LOG if log_writer is None else log_writer.head()),
                *write.frames,
                repeat=True,
            )
        if log_writer is not None and reply == b"OK":
            self._log.add_local(log_writer)
        return reply

    async def ensure_log(self, ref: ConversationRef, stored: Stored, turn: Turn) -> bytes:
        """Open the log of ``turn`` again if it is lost.

        Returns:
            ``OK`` if the turn has a log; ``OPENED`` if it was opened again; ``CONFLICT`` if the
            conversation has changed since ``stored`` was read; ``GONE`` if it no longer exists.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        log_writer = self._log.writer(ref, turn)
        reply: bytes = await self._client.run_script(
            "log",
            REOPEN,
            (state_key(ref.session_id), log_key(ref.session_id)),
            stored.tag,
            *log_writer.head(),
            repeat=True,
        )
        if reply == b"OPENED":
            # Redis lost the pieces of the turn, so it must get all of them again.
            self._log.add_local(log_writer)
        return reply

    async def forget(
        self, ref: ConversationRef, stored: Stored | StoredPage | None = None
    ) -> bytes:
        """Delete the conversation and its log; with ``stored``, only if it is stored unchanged.

        Returns:
            ``OK``; ``CONFLICT`` if the conversation has changed since ``stored`` was read; ``GONE``
            if it no longer exists.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        expected = b"" if stored is None else stored.tag
        reply: bytes = await self._client.run_script(
            "forget", FORGET, _keys(ref), expected, milliseconds(FORGOTTEN_TTL), repeat=True
        )
        if reply == b"OK":
            self._log.drop_local(ref.session_id)
        return reply


def _keys(ref: ConversationRef) -> tuple[str, str, str]:
    """The keys of the conversation, of its log, and of the mark that it was forgotten."""
    session_id = ref.session_id
    return state_key(session_id), log_key(session_id), forgotten_key(session_id)


@frozen
class CachedChain:
    """The frames of a conversation, and its owner's sealer, which has already derived its keys."""

    owner: Owner
    chain: FrameChain
    sealer: BoundSealer


class ChainCache:
    """The frames of conversations that callers hold, so that a write needs no read before it.

    An entry belongs to one ``Conversation`` object, not to equal ones. It is dropped when that
    object is garbage-collected, and holds none of its content.
    """

    def __init__(self) -> None:
        """Empty at first."""
        self._cached: dict[int, tuple[weakref.ref[Conversation], CachedChain]] = {}

    def remember(self, owner: Owner, stored: Stored, sealer: BoundSealer) -> Conversation:
        """Cache the frames in ``stored``; returns its conversation."""
        conversation = stored.conversation
        key = id(conversation)
        reference = weakref.ref(conversation, lambda _: self._cached.pop(key, None))
        self._cached[key] = (reference, CachedChain(owner, stored.chain, sealer))
        return conversation

    def find(self, ref: ConversationRef, conversation: Conversation | None) -> CachedChain | None:
        """The entry of this very object; None if there is none, or it belongs to another ref."""
        if conversation is None or conversation.id != ref.session_id:
            return None
        entry = self._cached.get(id(conversation))
        if entry is None:
            return None
        reference, cached = entry
        return cached if reference() is conversation and cached.owner == ref.owner else None
