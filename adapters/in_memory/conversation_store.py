"""Conversations in this process's memory: the reference implementation of the store port.

Nothing awaits between reading a conversation and writing it, so one event loop needs no locks.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from hmac import compare_digest
from typing import Final

from attrs import define, evolve, field, frozen

from adapters.in_memory.expiries import Expiries
from adapters.in_memory.turn_log import InMemoryTurnLog
from domain.model.conversation import (
    Conversation,
    Extent,
    newly_opened,
    retention_restarted,
    tail_of,
)
from domain.model.errors import (
    ConversationExists,
    ConversationFull,
    ConversationGone,
    ConversationNotFound,
    OlderMessagesNeeded,
)
from domain.model.identifiers import ConversationRef, Owner, SessionId, TurnRef
from domain.model.limits import (
    MAX_CONVERSATION_BYTES,
    MAX_CONVERSATION_IMAGE_BYTES,
    MAX_UNPACKED_BYTES,
    MESSAGE_OVERHEAD_BYTES,
    PART_OVERHEAD_BYTES,
)
from domain.model.message import Message
from domain.model.turn import Turn
from ports.clock import Clock
from ports.conversation_store import Change, Page, Predicate

MAX_BYTES: Final = 100_000_000
FORGOTTEN_FOR: Final = timedelta(seconds=60)
"""How long a forgotten turn is remembered, so that a repeated request does not bring it back."""
_HEAD_BYTES: Final = 1_024


def estimated_bytes(conversation: Conversation) -> int:
    """Roughly how much memory a conversation takes: its content, and constants for its objects."""
    return _HEAD_BYTES + conversation.counted_bytes


@frozen(kw_only=True)
class _Sizes:
    """Bytes of messages.

    Attributes:
        text: their content without images.
        overhead: the constants for the messages and their parts.
    """

    text: int
    images: int
    overhead: int

    @property
    def counted(self) -> int:
        return self.text + self.images + self.overhead

    def replaced(self, old: "_Sizes", new: "_Sizes") -> "_Sizes":
        """The sizes after messages with the sizes ``old`` were replaced."""
        return _Sizes(
            text=self.text - old.text + new.text,
            images=self.images - old.images + new.images,
            overhead=self.overhead - old.overhead + new.overhead,
        )


def _sizes(messages: Iterable[Message]) -> _Sizes:
    counted = images = overhead = 0
    for message in messages:
        counted += message.counted_bytes
        images += message.image_bytes
        overhead += MESSAGE_OVERHEAD_BYTES + PART_OVERHEAD_BYTES * len(message.parts)
    return _Sizes(text=counted - images - overhead, images=images, overhead=overhead)


@define
class _Record:
    """One conversation with all its messages."""

    owner: Owner = field(repr=False)
    conversation: Conversation = field(repr=False)
    sizes: _Sizes
    size: int


class InMemoryConversationStore:
    """Stores whole conversations; evicts the least recently used ones to make room."""

    def __init__(self, *, clock: Clock, log: InMemoryTurnLog, max_bytes: int = MAX_BYTES) -> None:
        """``max_bytes`` bounds the estimated size of all conversations together."""
        self._clock = clock
        self._log = log
        self._max_bytes = max_bytes
        self._bytes = 0
        self._records: OrderedDict[SessionId, _Record] = OrderedDict()
        self._expiries = Expiries()
        self._forgotten: dict[SessionId, Turn | None] = {}
        self._forgotten_until = Expiries()

    async def create(self, owner: Owner, conversation: Conversation) -> None:
        """See ``ports.conversation_store.ConversationStateStore.create``."""
        if self._unexpired(conversation.id) is not None:
            raise ConversationExists
        turn, forgotten = conversation.turn, self._forgotten.get(conversation.id)
        if turn is not None and forgotten is not None and forgotten.id == turn.id:
            raise ConversationGone
        self._write(owner, None, conversation)

    async def load(self, ref: ConversationRef, last: Extent = None) -> Conversation:
        """See ``ports.conversation_store.ConversationStateStore.load``."""
        return tail_of(self._record(ref).conversation, last)

    async def page(self, ref: ConversationRef, before: int | None, limit: int) -> Page:
        """See ``ports.conversation_store.ConversationStateStore.page``."""
        messages = self._record(ref).conversation.messages
        older = tuple(message for message in messages if before is None or message.number < before)
        shown = older[-limit:]
        return Page(messages=shown, next=shown[0].number if len(shown) < len(older) else None)

    async def update(
        self,
        ref: ConversationRef,
        change: Change,
        base: Conversation | None = None,  # noqa: ARG002 - reading costs nothing here
        last: Extent = None,
    ) -> Conversation:
        """See ``ports.conversation_store.ConversationStateStore.update``."""
        record = self._record(ref)
        whole = record.conversation
        loaded = tail_of(whole, last)
        try:
            changed = change(loaded)
        except OlderMessagesNeeded:
            loaded = whole
            changed = change(whole)
        if changed != loaded:
            self._write(ref.owner, record, _with_older_messages(changed, whole))
        return tail_of(changed, last)

    async def ensure_log(self, turn_ref: TurnRef) -> bool:
        """See ``ports.conversation_store.ConversationStateStore.ensure_log``."""
        try:
            turn = self._record(turn_ref.conversation).conversation.open_turn
        except ConversationNotFound:
            return False
        if turn is None or turn.id != turn_ref.turn_id:
            return False
        if not self._log.exists_for(turn_ref.conversation):
            self._log.open(turn_ref.conversation, turn)
        return True

    async def forget(self, ref: ConversationRef) -> None:
        """See ``ports.conversation_store.ConversationStateStore.forget``."""
        await self.forget_if(ref, lambda _: True)

    async def forget_if(self, ref: ConversationRef, predicate: Predicate) -> None:
        """See ``ports.conversation_store.ConversationStateStore.forget_if``."""
        with suppress(ConversationNotFound):
            conversation = self._record(ref).conversation
            if predicate(conversation):
                self._forgotten[ref.session_id] = conversation.turn
                self._forgotten_until.put(ref.session_id, self._clock.monotonic() + FORGOTTEN_FOR)
                self._drop(ref.session_id)

    def _record(self, ref: ConversationRef) -> _Record:
        record = self._unexpired(ref.session_id)
        if record is None or not compare_digest(record.owner.secret, ref.owner.secret):
            raise ConversationNotFound
        self._records.move_to_end(ref.session_id)
        return record

    def _unexpired(self, session_id: SessionId) -> _Record | None:
        # Drop all that have expired, requested or not, because they are stored unencrypted.
        for expired in self._expiries.due(self._clock.monotonic()):
            self._drop(expired)
        for remembered in self._forgotten_until.due(self._clock.monotonic()):
            del self._forgotten[remembered]
        return self._records.get(session_id)

    def _write(self, owner: Owner, record: _Record | None, conversation: Conversation) -> None:
        before = record.conversation if record else None
        opened = newly_opened(before, conversation)
        sizes = _sizes_after(record, conversation.messages)
        head = estimated_bytes(evolve(conversation, messages=()))
        size = head + sizes.counted
        ends_turn = before is not None and before.open_turn and not conversation.open_turn
        is_larger = record is None or size > record.size
        may_be_refused = opened or (is_larger and not ends_turn)
        if may_be_refused and _is_too_large(head, sizes):
            raise ConversationFull
        if before is None or retention_restarted(before, conversation):
            self._expiries.put(conversation.id, self._clock.monotonic() + conversation.retained_for)
        self._bytes += size - (record.size if record else 0)
        self._records[conversation.id] = _Record(owner, conversation, sizes, size)
        self._records.move_to_end(conversation.id)
        if opened:
            self._log.open(ConversationRef(owner, conversation.id), opened)
        while self._bytes > self._max_bytes and len(self._records) > 1:
            self._drop(next(iter(self._records)))

    def _drop(self, session_id: SessionId) -> None:
        self._expiries.remove(session_id)
        self._bytes -= self._records.pop(session_id).size
        self._log.forget(session_id)


def _sizes_after(before: _Record | None, messages: Sequence[Message]) -> _Sizes:
    """The sizes of ``messages``; only those that the write has changed are counted again."""
    if before is None:
        return _sizes(messages)
    old = before.conversation.messages
    pairs = enumerate(zip(old, messages, strict=False))
    same = next(
        (at for at, (one, other) in pairs if one is not other), min(len(old), len(messages))
    )
    return before.sizes.replaced(_sizes(old[same:]), _sizes(messages[same:]))


def _is_too_large(head: int, sizes: _Sizes) -> bool:
    return (
        head + sizes.text > MAX_CONVERSATION_BYTES
        or head + sizes.text + sizes.overhead > MAX_UNPACKED_BYTES
        or sizes.images > MAX_CONVERSATION_IMAGE_BYTES
    )


def _with_older_messages(changed: Conversation, whole: Conversation) -> Conversation:
    """The changed conversation with the messages that were not loaded for the change."""
    older = whole.messages[: changed.earlier]
    return evolve(changed, messages=(*older, *changed.messages), earlier=0)
