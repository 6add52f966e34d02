"""A conversation as a chain of sealed frames: unsealing what is stored, planning what to write.

- A turn is one frame. When a turn has ended and the last eight frames are unmerged, those eight are
  merged into one.
- The last frame also carries the head: everything in the conversation except its messages.
- Frames have revisions, counted from 1. A merged frame spans the revisions of the frames it
  replaces.
- Each frame is bound to the tag of the frame before it. So if two neighbouring frames unseal, no
  frame is missing between them.
- A write keeps the frames whose messages are unchanged, and replaces those after them.

Nothing here waits or uses Redis.
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
    EncodedFrame,
    FrameContent,
    SizeBefore,
    conversation_of,
    decode_frame,
    encode_frame,
    size_before,
)
from adapters.wire_format.packing import RECORD_MAX_BYTES, RecordTooLarge
from domain.model.conversation import Conversation, newly_opened
from domain.model.errors import ConversationTooLarge
from domain.model.identifiers import SessionId
from domain.model.limits import MAX_CONVERSATION_BYTES, MAX_UNPACKED_BYTES

_FIRST_REVISION: Final = 1
FRAMES_PER_MERGE: Final = 8
MERGED_MAX_BYTES: Final = 500_000
"""Limit on a merged record, because reading one message of it unseals the whole record."""
READABLE_BYTES: Final = RECORD_MAX_BYTES
"""Limit on all frames of a conversation together, unpacked. A larger one cannot be read."""
OPENING_MAX_BYTES: Final = 1_000_000
"""Limit on a record with an open turn, so that the record stays readable with the reply added."""


@frozen
class FrameInfo:
    """One stored frame, without its content.

    Attributes:
        first: the first revision that it spans.
        last: the last one.
        tag: the next frame is bound to it.
        key_id: the id of the master key that it is sealed with.
        size: its size in bytes, sealed.
        unpacked: its ``FrameContent.unpacked``.
        messages: the number of messages in it.
    """

    first: int
    last: int
    tag: bytes
    key_id: bytes
    size: int
    unpacked: int
    messages: int

    @property
    def is_single(self) -> bool:
        """Whether it was never merged."""
        return self.revisions == 1

    @property
    def revisions(self) -> int:
        """How many revisions it spans."""
        return self.last - self.first + 1


@frozen
class FrameChain:
    """The newest frames of a conversation, without their content.

    Attributes:
        frames: oldest first.
        before: the tag of the frame that precedes them; ``NO_FRAME_BEFORE`` if none does.
        size_before: the size of all frames that precede them.
        oldest_key: the key id of the oldest frame that was read, even if it was not unsealed. No
            frame of the conversation has an older key. None if all frames were just written, or if
            the oldest one has no valid header.
    """

    frames: tuple[FrameInfo, ...]
    before: bytes
    size_before: SizeBefore
    oldest_key: bytes | None

    @property
    def is_whole(self) -> bool:
        """Whether no frame precedes them."""
        return self.before == NO_FRAME_BEFORE

    @property
    def size(self) -> int:
        """Bytes of all frames of the conversation."""
        return self.size_before.sealed + sum(frame.size for frame in self.frames)

    @property
    def unpacked(self) -> int:
        """Bytes of all frames of the conversation, unpacked; see ``FrameContent``."""
        return self.size_before.unpacked + sum(frame.unpacked for frame in self.frames)

    def is_sealed_with(self, key_id: bytes) -> bool:
        """Whether every frame that was read is sealed with this key."""
        return self.oldest_key in (key_id, None) and all(
            frame.key_id == key_id for frame in self.frames
        )


_NO_FRAMES: Final = FrameChain(
    frames=(), before=NO_FRAME_BEFORE, size_before=SizeBefore(), oldest_key=None
)


@frozen
class Stored:
    """A conversation, perhaps only its newest messages, and the frames that hold it."""

    conversation: Conversation
    chain: FrameChain


@frozen
class UnsealedFrame:
    """One frame with its content, and the tag of the frame before it."""

    info: FrameInfo
    content: FrameContent
    before: bytes


def unseal(frame: bytes, before: bytes, sealer: BoundSealer, max_bytes: int) -> UnsealedFrame:
    """The content of ``frame``, which follows the frame with the tag ``before``.

    Raises:
        UnsealError: it was changed or moved, or its key is not in the ring.
        DecodeError: its content is malformed, of an unknown version, or larger than ``max_bytes``.
    """
    content = decode_frame(sealer.unseal(frame, before=before), max_bytes)
    info = frame_info(frame, content.unpacked, len(content.messages))
    return UnsealedFrame(info, content, before)


def assemble(session_id: SessionId, newest_first: Sequence[UnsealedFrame], oldest: bytes) -> Stored:
    """The conversation in neighbouring frames, from the newest stored frame backwards.

    ``oldest`` is the oldest frame that was read, still sealed.

    Raises:
        UnsealError: the newest frame has no head.
        DecodeError: the head does not fit the messages.
    """
    frames = newest_first[::-1]
    head = frames[-1].content.head
    if head is None:
        raise UnsealError("the last frame has no head")
    before = size_before(head)
    messages = tuple(message for frame in frames for message in frame.content.messages)
    chain = FrameChain(
        frames=tuple(frame.info for frame in frames),
        before=frames[0].before,
        # The head's sizes include the loaded frames before it, so they are subtracted.
        size_before=SizeBefore(
            before.sealed - sum(frame.info.size for frame in frames[:-1]),
            before.unpacked - sum(frame.info.unpacked for frame in frames[:-1]),
        ),
        oldest_key=_key_id_of(oldest),
    )
    return Stored(conversation_of(session_id, head, messages), chain)


def _key_id_of(frame: bytes) -> bytes | None:
    with suppress(UnsealError):
        return header_of(frame).key_id
    return None


def frame_info(frame: bytes, unpacked: int, messages: int) -> FrameInfo:
    """Describes a sealed frame by its header; ``messages`` is the number of messages in it."""
    header = header_of(frame)
    tag, size = tag_of(frame), len(frame)
    return FrameInfo(header.first, header.last, tag, header.key_id, size, unpacked, messages)


@frozen(kw_only=True)
class Write:
    """One commit: remove ``drop`` frames from the end, append ``frames``.

    Attributes:
        expected: the tag that the last stored frame must have; empty if nothing may be stored yet.
        after: what is stored after the commit.
    """

    expected: bytes
    drop: int
    frames: tuple[bytes, ...]
    after: Stored


def first_write(conversation: Conversation, sealer: BoundSealer) -> Write:
    """How to store a new conversation."""
    return _write(Stored(conversation, _NO_FRAMES), _Cut(0, 1), conversation, sealer)


def next_write(
    stored: Stored, changed: Conversation, sealer: BoundSealer, *, reseal_all: bool = False
) -> Write:
    """How to store a changed conversation: frames whose messages are unchanged are kept.

    ``reseal_all`` seals every frame again, with the newest key; it requires all frames in
    ``stored``.

    Raises:
        ConversationTooLarge: the last turn is too large for one frame, or leaves no room for its
            reply.
    """
    frames, kept = stored.chain.frames, _reusable_frames(stored, changed)
    # A frame that replaces a merged frame keeps its revision span; otherwise it would be merged
    # again.
    revisions = frames[kept].revisions if kept < len(frames) else 1
    first = kept - FRAMES_PER_MERGE + 1
    may_merge = changed.open_turn is None and revisions == 1 and first >= 0
    if may_merge and all(frame.is_single for frame in frames[first:kept]):
        merged = _Cut(first, FRAMES_PER_MERGE, max_bytes=MERGED_MAX_BYTES)
        with suppress(ConversationTooLarge):
            return _write(stored, merged, changed, sealer, reseal_all=reseal_all)
    return _write(stored, _Cut(kept, revisions), changed, sealer, reseal_all=reseal_all)


def require_room(before: Stored | None, after: Stored) -> None:
    """Reject a write that makes a conversation too large; ``before`` is None for a new one.

    Other limits apply to replies, so the end of a turn is rejected only if the conversation would
    be too large to read. A write that opens no turn and makes nothing larger is never rejected.

    Raises:
        ConversationTooLarge: it would exceed a size limit.
    """
    earlier = before.conversation if before else None
    ends_turn = earlier is not None and earlier.open_turn and not after.conversation.open_turn
    if ends_turn and after.chain.unpacked > READABLE_BYTES:
        raise ConversationTooLarge
    is_larger = before is None or after.chain.unpacked > before.chain.unpacked
    if ends_turn or not (is_larger or newly_opened(earlier, after.conversation)):
        return
    is_too_large = after.chain.size > MAX_CONVERSATION_BYTES
    if is_too_large or after.chain.unpacked > MAX_UNPACKED_BYTES:
        raise ConversationTooLarge


@frozen
class _Cut:
    """The last frame of a write.

    Attributes:
        kept: the number of loaded frames before it.
        revisions: how many revisions it spans.
        max_bytes: the size limit of its record.
    """

    kept: int
    revisions: int
    max_bytes: int = RECORD_MAX_BYTES


def _reusable_frames(stored: Stored, changed: Conversation) -> int:
    """How many of the loaded frames the changed conversation can keep."""
    unchanged = _unchanged_messages(stored.conversation, changed)
    frames = stored.chain.frames
    kept = covered = 0
    for frame in frames:
        covered += frame.messages
        if covered > unchanged:
            break
        kept += 1
    before, after = stored.conversation.turn, changed.turn
    is_same_turn = (before and before.id) == (after and after.id)
    # A turn is one frame, so a change within the same turn replaces that frame.
    return min(kept, len(frames) - 1) if is_same_turn else kept


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
    chain, frames = stored.chain, stored.chain.frames
    kept = () if reseal_all else frames[: cut.kept]
    writer = _FrameWriter(sealer, changed, chain, kept)
    for frame in frames[len(kept) : cut.kept]:
        writer.add(frame.first, frame.last, frame.messages)
    first = _next_revision(frames, cut.kept)
    max_bytes = cut.max_bytes
    if changed.open_turn is not None:
        max_bytes = min(max_bytes, OPENING_MAX_BYTES)
    try:
        writer.add_last(first, first + cut.revisions - 1, max_bytes)
    except RecordTooLarge as error:
        raise ConversationTooLarge from error
    after = FrameChain(
        frames=tuple(writer.infos),
        before=chain.before,
        size_before=chain.size_before,
        oldest_key=None if reseal_all else chain.oldest_key,
    )
    return Write(
        expected=frames[-1].tag if frames else b"",
        drop=len(frames) - len(kept),
        frames=tuple(writer.sealed),
        after=Stored(changed, after),
    )


def _next_revision(frames: Sequence[FrameInfo], kept: int) -> int:
    if kept < len(frames):
        return frames[kept].first
    return frames[-1].last + 1 if frames else _FIRST_REVISION


class _FrameWriter:
    """Seals new frames after those that are kept."""

    def __init__(
        self,
        sealer: BoundSealer,
        changed: Conversation,
        chain: FrameChain,
        kept: Sequence[FrameInfo],
    ) -> None:
        self.infos = list(kept)
        self.sealed: list[bytes] = []
        self._sealer = sealer
        self._changed = changed
        self._before = kept[-1].tag if kept else chain.before
        self._size = chain.size_before.sealed + sum(frame.size for frame in kept)
        self._unpacked = chain.size_before.unpacked + sum(frame.unpacked for frame in kept)
        self._written = sum(frame.messages for frame in kept)

    def add(self, first: int, last: int, messages: int) -> None:
        """Seal the next ``messages`` messages as a frame without a head."""
        batch = self._changed.messages[self._written : self._written + messages]
        self._push(encode_frame(batch), first, last, messages)

    def add_last(self, first: int, last: int, max_bytes: int) -> None:
        """Seal the messages that are left, and the head, as the last frame.

        Raises:
            RecordTooLarge: together they have more than ``max_bytes``.
        """
        rest = self._changed.messages[self._written :]
        before = SizeBefore(self._size, self._unpacked)
        encoded = encode_frame(rest, head=self._changed, before=before, max_bytes=max_bytes)
        self._push(encoded, first, last, len(rest))

    def _push(self, encoded: EncodedFrame, first: int, last: int, messages: int) -> None:
        frame = self._sealer.seal(encoded.packed, span=(first, last), before=self._before)
        self.sealed.append(frame)
        self.infos.append(frame_info(frame, encoded.unpacked, messages))
        self._before, self._size = tag_of(frame), self._size + len(frame)
        self._unpacked += encoded.unpacked
        self._written += messages
