"""A conversation as a list of frames: opening what is stored, deciding what to write.

A turn is one frame; when a turn has ended and eight single frames stand at the end, they become
one. The last frame carries the head. Revisions count the frames there ever were: a merged frame
holds as many as it was made of. Nothing here waits or touches Redis.

Deciding what to write: every frame that still holds true stays, the others are replaced.

Nothing here waits or touches Redis.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from attrs import frozen

from adapters.sealing.sealer import (
    NO_FRAME_BEFORE,
    BoundSealer,
    UnsealError,
    header_of,
    tag_of,
)
from adapters.wire_format.conversation_record import (
    FrameContent,
    HeadRecord,
    conversation_of,
    decode_frame,
    encode_frame,
)
from adapters.wire_format.packing import RECORD_MAX_BYTES, RecordTooLarge
from domain.model.conversation import Conversation
from domain.model.errors import ConversationTooLarge
from domain.model.identifiers import SessionId

FIRST_REVISION: Final = 1


@frozen
class FrameInfo:
    """What is known of one stored frame, without its content.

    Attributes:
        first, last: its revisions.
        tag: what the frame after it follows.
        size: in bytes, sealed.
        messages: how many it holds.
    """

    first: int
    last: int
    tag: bytes
    key_id: bytes
    size: int
    messages: int

    @property
    def is_single(self) -> bool:
        """Whether it was never merged."""
        return self.revisions == 1

    @property
    def revisions(self) -> int:
        """How many it holds."""
        return self.last - self.first + 1


@frozen(kw_only=True)
class Stored:
    """The newest frames of a conversation, opened.

    Attributes:
        before: tag of the frame that precedes them, zeros when none does.
        size_before: bytes of the frames that precede them.
        oldest_key: id of the key of the oldest frame that was seen and not opened; no frame has an
            older key. Absent when all were opened, or it does not tell.
    """

    conversation: Conversation
    places: tuple[FrameInfo, ...]
    before: bytes
    size_before: int
    oldest_key: bytes | None = None

    @property
    def is_whole(self) -> bool:
        """Whether no frame precedes them."""
        return self.before == NO_FRAME_BEFORE

    @property
    def size(self) -> int:
        """Bytes of all frames of the conversation."""
        return self.size_before + sum(place.size for place in self.places)

    def is_under(self, key_id: bytes) -> bool:
        """Whether all frames are sealed under this key, as far as they were seen."""
        return self.oldest_key in (key_id, None) and all(
            place.key_id == key_id for place in self.places
        )


@frozen
class OpenedFrame:
    """One frame, opened, and the tag it follows."""

    place: FrameInfo
    content: FrameContent
    before: bytes


def opened(frame: bytes, before: bytes, sealer: BoundSealer) -> OpenedFrame:
    """One frame.

    Raises:
        UnsealError, DecodeError: it is not as it was sealed.
    """
    content = decode_frame(sealer.unseal(frame, before=before))
    return OpenedFrame(place_of(frame, len(content.messages)), content, before)


def joined(
    session_id: SessionId, newest_first: Sequence[OpenedFrame], oldest: bytes = b""
) -> Stored:
    """The conversation that these neighbouring frames, the last of its list, hold.

    ``oldest`` is the oldest frame that was seen, as it is stored.

    That none is missing between them, or before the first of all, is known already: each opened
    only behind the tag of the one before.

    Raises:
        UnsealError: the last has no head.
        DecodeError: the head does not fit the messages.
    """
    frames = tuple(reversed(newest_first))
    head = frames[-1].content.head
    if head is None:
        raise UnsealError("the last frame has no head")
    messages = tuple(said for frame in frames for said in frame.content.messages)
    return Stored(
        conversation=conversation_of(session_id, head, messages),
        places=tuple(frame.place for frame in frames),
        before=frames[0].before,
        size_before=_size_before(head, frames),
        oldest_key=_key_of(oldest),
    )


def _key_of(frame: bytes) -> bytes | None:
    with suppress(UnsealError):
        return header_of(frame).key_id
    return None


def _size_before(head: HeadRecord, frames: Sequence[OpenedFrame]) -> int:
    return head.size_before - sum(frame.place.size for frame in frames[:-1])


def place_of(frame: bytes, messages: int) -> FrameInfo:
    """What is known of a frame that holds so many messages."""
    header = header_of(frame)
    return FrameInfo(header.first, header.last, tag_of(frame), header.key_id, len(frame), messages)


FRAMES_PER_MERGE: Final = 8
"""So many single frames become one."""
MERGED_MAX_BYTES: Final = 500_000
"""As records: a larger one would be read as a whole for little."""
OPENING_MAX_BYTES: Final = 1_000_000
"""The record in which a turn is opened: whatever its reply brings, it stays readable."""


@frozen(kw_only=True)
class Write:
    """One commit: take ``drop`` frames off the end, put ``frames`` there instead.

    Attributes:
        expected: tag of the last frame it is meant for; empty when none is there yet.
        after: what is stored once it is carried out.
    """

    expected: bytes
    drop: int
    frames: tuple[bytes, ...]
    after: Stored


def first_write(conversation: Conversation, sealer: BoundSealer) -> Write:
    """How a new conversation is stored."""
    empty = Stored(conversation=conversation, places=(), before=NO_FRAME_BEFORE, size_before=0)
    return _write(empty, _Cut(0, 1), conversation, sealer)


def next_write(
    stored: Stored, changed: Conversation, sealer: BoundSealer, *, reseal_all: bool = False
) -> Write:
    """How a changed conversation is stored: every frame that still holds true stays.

    ``reseal_all`` seals all of them again, for which ``stored`` has to be whole.

    Raises:
        ConversationTooLarge: the last turn is too much for one frame, or would be with its reply.
    """
    kept = _reusable_frames(stored, changed)
    # What takes the place of a merged frame is one itself: else the next eight would swallow it.
    revisions = stored.places[kept].revisions if kept < len(stored.places) else 1
    if changed.open_turn is None and kept >= FRAMES_PER_MERGE - 1 and revisions == 1:
        last = stored.places[kept - FRAMES_PER_MERGE + 1 : kept]
        if all(place.is_single for place in last):
            cut = _Cut(kept - FRAMES_PER_MERGE + 1, FRAMES_PER_MERGE, most=MERGED_MAX_BYTES)
            with suppress(ConversationTooLarge):
                return _write(stored, cut, changed, sealer, reseal_all=reseal_all)
    return _write(stored, _Cut(kept, revisions), changed, sealer, reseal_all=reseal_all)


@frozen
class _Cut:
    """How many frames stay, how many revisions the one behind them holds, and how much at most."""

    kept: int
    revisions: int
    most: int = RECORD_MAX_BYTES


def _reusable_frames(stored: Stored, changed: Conversation) -> int:
    """How many of the loaded frames can stay as they are."""
    unchanged = _unchanged_messages(stored.conversation, changed)
    kept = covered = 0
    for place in stored.places:
        covered += place.messages
        if covered > unchanged:
            break
        kept += 1
    before, after = stored.conversation.turn, changed.turn
    is_same_turn = (before and before.id) == (after and after.id)
    # What goes on with a turn takes the place of its frame, so that a turn is one frame.
    return min(kept, len(stored.places) - 1) if is_same_turn else kept


def _unchanged_messages(before: Conversation, after: Conversation) -> int:
    count = 0
    for old, new in zip(before.messages, after.messages, strict=False):
        if old is not new and old != new:
            break
        count += 1
    return count


def _write(
    stored: Stored,
    cut: _Cut,
    changed: Conversation,
    sealer: BoundSealer,
    *,
    reseal_all: bool = False,
) -> Write:
    with_retention_from = () if reseal_all else stored.places[: cut.kept]
    writer = _Writer(sealer, changed, list(with_retention_from), stored.before, stored.size_before)
    if reseal_all:
        for place in stored.places[: cut.kept]:
            writer.add(place.first, place.last, place.messages)
    first = _next_revision(stored.places, cut.kept)
    most = min(cut.most, OPENING_MAX_BYTES) if changed.open_turn is not None else cut.most
    try:
        writer.add_last(first, first + cut.revisions - 1, most)
    except RecordTooLarge as error:
        raise ConversationTooLarge from error
    after = Stored(
        conversation=changed,
        places=tuple(writer.places),
        before=stored.before,
        size_before=stored.size_before,
        oldest_key=None if reseal_all else stored.oldest_key,
    )
    return Write(
        expected=stored.places[-1].tag if stored.places else b"",
        drop=len(stored.places) - len(with_retention_from),
        frames=tuple(writer.frames),
        after=after,
    )


def _next_revision(places: Sequence[FrameInfo], kept: int) -> int:
    if kept < len(places):
        return places[kept].first
    return places[-1].last + 1 if places else FIRST_REVISION


class _Writer:
    """Seals frames behind those that stay."""

    def __init__(
        self,
        sealer: BoundSealer,
        changed: Conversation,
        places: list[FrameInfo],
        before: bytes,
        size_before: int,
    ) -> None:
        self.places = places
        self.frames: list[bytes] = []
        self._sealer = sealer
        self._changed = changed
        self._before = places[-1].tag if places else before
        self._size = size_before + sum(place.size for place in places)
        self._written = sum(place.messages for place in places)

    def add(self, first: int, last: int, messages: int) -> None:
        """A frame without a head, of the next ``messages``."""
        said = self._changed.messages[self._written : self._written + messages]
        self._push(encode_frame(said), first, last, messages)

    def add_last(self, first: int, last: int, most: int) -> None:
        """The last frame: all messages that are left, and the head.

        Raises:
            RecordTooLarge: together they have more than ``most`` bytes.
        """
        said = self._changed.messages[self._written :]
        record = encode_frame(said, head=self._changed, size_before=self._size, max_bytes=most)
        self._push(record, first, last, len(said))

    def _push(self, record: bytes, first: int, last: int, messages: int) -> None:
        frame = self._sealer.seal(record, span=(first, last), before=self._before)
        self.frames.append(frame)
        self.places.append(place_of(frame, messages))
        self._before, self._size = tag_of(frame), self._size + len(frame)
        self._written += messages
