"""Plans what to write: seals the frames of a changed conversation, within its size limits.

``frame_chain`` explains the frames. A write keeps the frames whose messages are unchanged, and
replaces those after them. Nothing here waits or uses Redis.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from attrs import evolve, frozen

from adapters.encrypted_redis.frame_chain import (
    FRAMES_PER_MERGE,
    NO_FRAMES,
    READABLE_BYTES,
    FrameChain,
    FrameInfo,
    Stored,
    frame_info,
)
from adapters.sealing.sealer import BoundSealer, tag_of
from adapters.wire_format.conversation_record import EncodedFrame, SizeBefore, encode_frame
from adapters.wire_format.packing import RECORD_MAX_BYTES, RecordTooLarge
from domain.model.conversation import Conversation, newly_opened
from domain.model.errors import ConversationFull
from domain.model.limits import (
    MAX_CONVERSATION_BYTES,
    MAX_CONVERSATION_IMAGE_BYTES,
    MAX_UNPACKED_BYTES,
)

MERGED_MAX_BYTES: Final = 500_000
"""Limit on a merged record, because reading one message of it unseals the whole record."""
MERGED_MAX_IMAGE_BYTES: Final = 50_000
"""Limit on the images in it. Larger ones stay where they are and are not sealed again."""
OPENING_MAX_BYTES: Final = 1_000_000
"""Limit on a record with an open turn, so that the record stays readable with the reply added."""
_FIRST_REVISION: Final = 1


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
    return _write(Stored(conversation, NO_FRAMES), _Cut(0, 1), conversation, sealer)


def next_write(
    stored: Stored, changed: Conversation, sealer: BoundSealer, *, reseal_all: bool = False
) -> Write:
    """How to store a changed conversation: frames whose messages are unchanged are kept.

    ``reseal_all`` seals every frame again, with the newest key; it requires all frames in
    ``stored``.

    Raises:
        ConversationFull: the last turn is too large for one frame, or leaves no room for its
            reply.
    """
    frames, kept = stored.chain.frames, _reusable_frames(stored, changed)
    # A frame that replaces a merged frame keeps its revision span; otherwise it would be merged
    # again.
    revisions = frames[kept].revisions if kept < len(frames) else 1
    first = kept - FRAMES_PER_MERGE + 1
    may_merge = changed.open_turn is None and revisions == 1 and first >= 0
    if may_merge and all(frame.is_single for frame in frames[first:kept]):
        merged = _Cut(first, FRAMES_PER_MERGE, MERGED_MAX_BYTES, MERGED_MAX_IMAGE_BYTES)
        with suppress(ConversationFull):
            return _write(stored, merged, changed, sealer, reseal_all=reseal_all)
    return _write(stored, _Cut(kept, revisions), changed, sealer, reseal_all=reseal_all)


def require_room(before: Stored | None, after: Stored) -> None:
    """Reject a write that makes a conversation too large; ``before`` is None for a new one.

    Other limits apply to replies, so the end of a turn is rejected only if the conversation would
    be too large to read. A write that opens no turn and makes nothing larger is never rejected.

    Raises:
        ConversationFull: it would exceed a size limit.
    """
    earlier = before.conversation if before else None
    ends_turn = earlier is not None and earlier.open_turn and not after.conversation.open_turn
    if ends_turn and after.chain.unpacked > READABLE_BYTES:
        raise ConversationFull
    is_larger = before is None or _is_larger(before.chain, after.chain)
    if ends_turn or not (is_larger or newly_opened(earlier, after.conversation)):
        return
    size_of_text = after.chain.size - after.chain.images
    is_too_large = size_of_text > MAX_CONVERSATION_BYTES
    has_too_many_images = after.chain.images > MAX_CONVERSATION_IMAGE_BYTES
    if is_too_large or has_too_many_images or after.chain.unpacked > MAX_UNPACKED_BYTES:
        raise ConversationFull


def _is_larger(before: FrameChain, after: FrameChain) -> bool:
    return after.unpacked > before.unpacked or after.images > before.images


@frozen
class _Cut:
    """The last frame of a write.

    Attributes:
        kept: the number of loaded frames before it.
        revisions: how many revisions it spans.
        max_bytes: the size limit of its record without its images.
        max_image_bytes: the limit on these.
    """

    kept: int
    revisions: int
    max_bytes: int = RECORD_MAX_BYTES
    max_image_bytes: int = MAX_CONVERSATION_IMAGE_BYTES


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
    if changed.open_turn is not None:
        cut = evolve(cut, max_bytes=min(cut.max_bytes, OPENING_MAX_BYTES))
    try:
        writer.add_last(first, cut)
    except RecordTooLarge as error:
        raise ConversationFull from error
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
        self._images = chain.size_before.images + sum(frame.images for frame in kept)
        self._written = sum(frame.messages for frame in kept)

    def add(self, first: int, last: int, messages: int) -> None:
        """Seal the next ``messages`` messages as a frame without a head."""
        batch = self._changed.messages[self._written : self._written + messages]
        self._push(encode_frame(batch, labelled=last > first), first, last, messages)

    def add_last(self, first: int, cut: _Cut) -> None:
        """Seal the messages that are left, and the head, as the last frame.

        Raises:
            RecordTooLarge: together they exceed a limit of ``cut``.
        """
        rest = self._changed.messages[self._written :]
        encoded = encode_frame(
            rest,
            head=self._changed,
            before=SizeBefore(self._size, self._unpacked, self._images),
            max_bytes=cut.max_bytes,
            max_image_bytes=cut.max_image_bytes,
            labelled=cut.revisions > 1,
        )
        self._push(encoded, first, first + cut.revisions - 1, len(rest))

    def _push(self, encoded: EncodedFrame, first: int, last: int, messages: int) -> None:
        frame = self._sealer.seal(encoded.packed, span=(first, last), before=self._before)
        self.sealed.append(frame)
        self.infos.append(frame_info(frame, encoded, messages))
        self._before, self._size = tag_of(frame), self._size + len(frame)
        self._unpacked += encoded.unpacked
        self._images += encoded.images
        self._written += messages
