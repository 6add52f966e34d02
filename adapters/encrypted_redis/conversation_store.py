"""Conversations in Redis, as lists of sealed frames. See ``docs/redis_layout.md``.

Carrying out a write: state, stay and, when it opens a turn, its log, in one step.

Where the frames of conversations in callers' hands stand, so that a write needs no read before.

No content is kept here, and nothing outlives the conversation it is about.
"""

import random
import weakref
from contextlib import suppress
from datetime import timedelta
from typing import Final

from attrs import frozen

from adapters.encrypted_redis.frame_chain import FrameInfo, Stored, Write, first_write, next_write
from adapters.encrypted_redis.frame_reader import (
    FrameReader,
    StopReading,
    all_frames,
    enough_to_write,
    messages_below,
    newest_messages,
)
from adapters.encrypted_redis.keys_and_scripts import (
    FORGET,
    REOPEN,
    SPLICE,
    log_key,
    milliseconds,
    state_key,
)
from adapters.encrypted_redis.redis_client import RedisClient
from adapters.encrypted_redis.turn_log import RedisTurnLog
from adapters.sealing.sealer import BoundSealer, Ownership, RecordKind, Sealer
from domain.model.conversation import Conversation, retention_restarted
from domain.model.errors import (
    ConversationExists,
    ConversationNotFound,
    ConversationTooLarge,
    OlderMessagesNeeded,
)
from domain.model.identifiers import ConversationRef, Owner, SessionId, TurnRef
from domain.model.limits import MAX_CONVERSATION_BYTES
from domain.model.turn import Turn
from ports.clock import Clock
from ports.conversation_store import Change, Page, Predicate
from ports.errors import ConversationBusy, StoredStateUnreadable

KEEP_TTL: Final = timedelta()
_NO_LOG: Final = ("", "", "", 0)


class Commit:
    """Commits writes. A repeat sends the same bytes and is exact."""

    def __init__(self, commands: RedisClient, log: RedisTurnLog) -> None:
        """``log`` seals the heads of the logs that are opened."""
        self._commands = commands
        self._log = log

    async def __call__(
        self, owner: Owner, write: Write, opening: Turn | None, stay: timedelta
    ) -> bytes:
        """``OK``, ``CONFLICT``, ``EXISTS`` or ``GONE``; ``stay`` may be ``KEEP_TTL``.

        Raises:
            ConversationTooLarge: a turn would be opened in a conversation at its bound.
            StoreUnavailable: Redis does not answer.
        """
        if opening is not None and write.after.size > MAX_CONVERSATION_BYTES:
            raise ConversationTooLarge
        session_id = write.after.conversation.id
        log = (
            _NO_LOG
            if opening is None
            else self._log.head(ConversationRef(owner, session_id), opening)
        )
        answer: bytes = await self._commands.run_script(
            "commit",
            SPLICE,
            (state_key(session_id), log_key(session_id)),
            write.expected,
            write.drop,
            milliseconds(stay),
            *log,
            *write.frames,
            repeat=True,
        )
        if opening and answer == b"OK":
            self._log.opened(ConversationRef(owner, session_id), opening)
        return answer

    async def ensure_log(self, owner: Owner, stored: Stored, turn: Turn) -> bytes:
        """``OK`` or ``OPENED``, or ``CONFLICT`` or ``GONE`` when this is no longer what is stored.

        Raises:
            StoreUnavailable: Redis does not answer.
        """
        session_id = stored.conversation.id
        answer: bytes = await self._commands.run_script(
            "log",
            REOPEN,
            (state_key(session_id), log_key(session_id)),
            stored.places[-1].tag,
            *self._log.head(ConversationRef(owner, session_id), turn),
            repeat=True,
        )
        if answer == b"OPENED":
            # What Redis had of the turn is lost: it is to get all of it again.
            self._log.opened(ConversationRef(owner, session_id), turn)
        return answer

    async def forget(self, stored: Stored) -> bytes:
        """``OK`` or ``GONE``, or ``CONFLICT`` when this is no longer what is stored.

        Raises:
            StoreUnavailable: Redis does not answer.
        """
        session_id, tag = stored.conversation.id, stored.places[-1].tag
        keys = (state_key(session_id), log_key(session_id))
        answer: bytes = await self._commands.run_script("forget", FORGET, keys, tag, repeat=True)
        if answer == b"OK":
            self._log.drop_local(session_id)
        return answer


def newly_opened(before: Conversation, after: Conversation) -> Turn | None:
    """The turn that this change opens, absent when it opens none."""
    turn, known = after.open_turn, before.turn
    return turn if turn is not None and (known is None or known.id != turn.id) else None


@frozen(kw_only=True)
class Known:
    """What is known of one conversation's frames, and who may open them."""

    owner: Owner
    sealer: BoundSealer
    places: tuple[FrameInfo, ...]
    before: bytes
    size_before: int
    oldest_key: bytes | None

    def stored(self, conversation: Conversation) -> Stored:
        """The same with the conversation that is stored there."""
        return Stored(
            conversation=conversation,
            places=self.places,
            before=self.before,
            size_before=self.size_before,
            oldest_key=self.oldest_key,
        )


class ChainCache:
    """Remembers by identity: an equal conversation that was stored elsewhere is not the same."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._known: dict[int, tuple[weakref.ref[Conversation], Known]] = {}

    def remember(self, owner: Owner, stored: Stored, sealer: BoundSealer) -> Conversation:
        """The conversation, about which more is known from now on."""
        conversation = stored.conversation
        name = id(conversation)
        gone = weakref.ref(conversation, lambda _: self._known.pop(name, None))
        known = Known(
            owner=owner,
            sealer=sealer,
            places=stored.places,
            before=stored.before,
            size_before=stored.size_before,
            oldest_key=stored.oldest_key,
        )
        self._known[name] = (gone, known)
        return conversation

    def of(self, conversation: Conversation | None, owner: Owner) -> Known | None:
        """What is known of it; absent when it never came from here, or for this owner."""
        if conversation is None:
            return None
        found = self._known.get(id(conversation))
        if found is None or found[0]() is not conversation or found[1].owner != owner:
            return None
        return found[1]


_TRY_FOR: Final = timedelta(seconds=5)
_PAUSE: Final = timedelta(milliseconds=2)
_LONGEST_PAUSE: Final = timedelta(milliseconds=100)
_BEYOND_ALL: Final = 2**63


class RedisConversationStore:
    """Keeps conversations as frames that only their owner and the master key open together."""

    def __init__(
        self, *, commands: RedisClient, sealer: Sealer, log: RedisTurnLog, clock: Clock
    ) -> None:
        """``clock`` bounds how long an update is tried against faster writers."""
        self._commands = commands
        self._sealer = sealer
        self._log = log
        self._commit = Commit(commands, log)
        self._clock = clock
        self._known = ChainCache()

    async def create(self, owner: Owner, conversation: Conversation) -> None:
        """See ``ports.conversation_store.ConversationStateStore.create``."""
        sealer = self._bound(ConversationRef(owner, conversation.id))
        write, opening = first_write(conversation, sealer), conversation.open_turn
        answer = await self._commit(owner, write, opening, conversation.retained_for)
        if answer != b"OK":
            raise ConversationExists
        self._known.remember(owner, write.after, sealer)

    async def load(self, ref: ConversationRef, last: int | None = None) -> Conversation:
        """See ``ports.conversation_store.ConversationStateStore.load``."""
        sealer = self._bound(ref)
        stored = await self._read(ref.session_id, sealer, newest_messages(last))
        return self._known.remember(ref.owner, stored, sealer)

    async def page(self, ref: ConversationRef, before: int | None, limit: int) -> Page:
        """See ``ports.conversation_store.ConversationStateStore.page``."""
        number = _BEYOND_ALL if before is None else before
        sealer = self._bound(ref)
        stored = await self._read(ref.session_id, sealer, messages_below(number, limit))
        older = [said for said in stored.conversation.messages if said.number < number]
        shown = tuple(older[-limit:])
        return Page(messages=shown, next=shown[0].number if len(shown) < len(older) else None)

    async def update(
        self,
        ref: ConversationRef,
        change: Change,
        base: Conversation | None = None,
        last: int | None = None,
    ) -> Conversation:
        """See ``ports.conversation_store.ConversationStateStore.update``."""
        deadline, losses = self._clock.monotonic() + _TRY_FOR, 0
        stored, sealer = await self._begun(ref, base, last)
        while True:
            stored, changed = await self._changed(stored, sealer, change)
            if changed == stored.conversation:
                return self._known.remember(ref.owner, stored, sealer)
            written = await self._committed(ref.owner, stored, changed, sealer)
            if written is not None:
                return self._known.remember(ref.owner, written, sealer)
            losses += 1
            if self._clock.monotonic() >= deadline:
                raise ConversationBusy
            await self._clock.sleep(_pause(losses))
            stored = await self._read(ref.session_id, sealer, enough_to_write(last))

    async def ensure_log(self, turn_ref: TurnRef) -> bool:
        """See ``ports.conversation_store.ConversationStateStore.ensure_log``."""
        sealer = self._bound(turn_ref.conversation)
        while True:
            try:
                stored = await self._read(
                    turn_ref.conversation.session_id, sealer, newest_messages(1)
                )
            except ConversationNotFound:
                return False
            turn = stored.conversation.open_turn
            if turn is None or turn.id != turn_ref.turn_id:
                return False
            if await self._commit.ensure_log(turn_ref.conversation.owner, stored, turn) in (
                b"OK",
                b"OPENED",
            ):
                return True

    async def forget(self, ref: ConversationRef) -> None:
        """See ``ports.conversation_store.ConversationStateStore.forget``."""
        sealer = self._bound(ref)
        frames = await FrameReader(self._commands, ref.session_id, sealer).newest()
        belongings = {sealer.ownership(frame) for frame in frames}
        if frames and Ownership.MINE not in belongings:
            if belongings == {Ownership.OTHER}:
                return
            # Nothing shows that it is this owner's, so it is not this owner's to delete.
            raise StoredStateUnreadable
        if not frames and not await self._log.exists_for(ref):
            return
        await self._commands.call_idempotent(
            "forget", "DEL", state_key(ref.session_id), log_key(ref.session_id)
        )
        self._log.drop_local(ref.session_id)

    async def forget_if(self, ref: ConversationRef, predicate: Predicate) -> None:
        """See ``ports.conversation_store.ConversationStateStore.forget_if``."""
        sealer = self._bound(ref)
        with suppress(ConversationNotFound):
            while True:
                stored = await self._read(ref.session_id, sealer, newest_messages(1))
                if (
                    not predicate(stored.conversation)
                    or await self._commit.forget(stored) != b"CONFLICT"
                ):
                    return

    def _bound(self, ref: ConversationRef) -> BoundSealer:
        return self._sealer.bound(ref.owner, RecordKind.STATE, ref.session_id)

    async def _read(
        self, session_id: SessionId, sealer: BoundSealer, enough: StopReading
    ) -> Stored:
        return await FrameReader(self._commands, session_id, sealer).read(enough)

    async def _begun(
        self, ref: ConversationRef, base: Conversation | None, last: int | None
    ) -> tuple[Stored, BoundSealer]:
        known = self._known.of(base, ref.owner)
        if base is not None and known is not None and base.id == ref.session_id:
            return known.stored(base), known.sealer
        sealer = self._bound(ref)
        return await self._read(ref.session_id, sealer, enough_to_write(last)), sealer

    async def _changed(
        self, stored: Stored, sealer: BoundSealer, change: Change
    ) -> tuple[Stored, Conversation]:
        try:
            changed = change(stored.conversation)
            if stored.is_whole or not self._is_to_be_rewritten(stored, changed):
                return stored, changed
        except OlderMessagesNeeded:
            if stored.is_whole:
                raise
        whole = await self._read(stored.conversation.id, sealer, all_frames)
        return whole, change(whole.conversation)

    def _is_to_be_rewritten(self, stored: Stored, changed: Conversation) -> bool:
        """A commit that restarts the stay leaves no frame under an older key behind."""
        kept_anew = retention_restarted(stored.conversation, changed)
        return kept_anew and not stored.is_under(self._sealer.key_id)

    async def _committed(
        self, owner: Owner, stored: Stored, changed: Conversation, sealer: BoundSealer
    ) -> Stored | None:
        """What is stored now; absent when another writer was faster."""
        reseal_all = self._is_to_be_rewritten(stored, changed)
        write = next_write(stored, changed, sealer, reseal_all=reseal_all)
        opening = newly_opened(stored.conversation, changed)
        stay = (
            changed.retained_for if retention_restarted(stored.conversation, changed) else KEEP_TTL
        )
        answer = await self._commit(owner, write, opening, stay)
        if answer == b"GONE":
            raise ConversationNotFound
        return write.after if answer == b"OK" else None


def _pause(losses: int) -> timedelta:
    longest: timedelta = min(_PAUSE * (1 << min(losses, 10)), _LONGEST_PAUSE)
    return longest * random.random()  # noqa: S311 - only keeps writers apart
