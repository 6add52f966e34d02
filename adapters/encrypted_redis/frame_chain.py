"""A conversation as a chain of sealed frames, as it is stored and read.

- A turn is one frame. When a turn has ended and the last eight frames are unmerged, those eight are
  merged into one.
- The last frame also carries the head: everything in the conversation except its messages.
- Frames have revisions, counted from 1. A merged frame spans the revisions of the frames it
  replaces.
- Each frame is bound to the tag of the frame before it. So if two neighbouring frames unseal, no
  frame is missing between them.
- Messages contain their images. Only a record with few image bytes is merged, so an image is sealed
  with its own turn and not again.

Nothing here waits or uses Redis. ``frame_writer`` plans what to write.
"""

from bisect import bisect_right
from contextlib import suppress
from itertools import islice
from operator import neg
from typing import Final

from attrs import define, field, frozen

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
    HeadRecord,
    SizeBefore,
    conversation_of,
    decode_frame,
    first_number,
    messages_of,
    size_before,
)
from adapters.wire_format.packing import RECORD_MAX_BYTES
from domain.model.conversation import Conversation
from domain.model.identifiers import SessionId
from domain.model.message import Message

FRAMES_PER_MERGE: Final = 8
READABLE_BYTES: Final = RECORD_MAX_BYTES
"""Limit on all frames of a conversation together, unpacked and without their images. A larger one
cannot be read."""


@frozen
class FrameInfo:
    """One stored frame, without its content.

    Attributes:
        first: the first revision that it spans.
        last: the last one.
        tag: the next frame is bound to it.
        key_id: the id of the master key that it is sealed with.
        size: its size in bytes, sealed.
        unpacked, images: as in its ``FrameContent``.
        messages: the number of messages in it.
    """

    first: int
    last: int
    tag: bytes
    key_id: bytes
    size: int
    unpacked: int
    images: int
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

    @property
    def images(self) -> int:
        """Bytes of all images of the conversation."""
        return self.size_before.images + sum(frame.images for frame in self.frames)

    def is_sealed_with(self, key_id: bytes) -> bool:
        """Whether every frame that was read is sealed with this key."""
        return self.oldest_key in (key_id, None) and all(
            frame.key_id == key_id for frame in self.frames
        )


NO_FRAMES: Final = FrameChain(
    frames=(), before=NO_FRAME_BEFORE, size_before=SizeBefore(), oldest_key=None
)


@frozen
class Stored:
    """A conversation, perhaps only its newest messages, and the frames that hold it."""

    conversation: Conversation
    chain: FrameChain

    @property
    def tag(self) -> bytes:
        """The tag of the newest frame."""
        return self.chain.frames[-1].tag


@frozen
class UnsealedFrame:
    """One frame with its content, and the tag of the frame before it."""

    info: FrameInfo
    content: FrameContent
    before: bytes


def unseal(
    frame: bytes,
    before: bytes,
    sealer: BoundSealer,
    max_bytes: int,
    below: int | None = None,
) -> UnsealedFrame | None:
    """The content of ``frame``, which follows the frame with the tag ``before``.

    None if only messages numbered below ``below`` are needed, and the frame's label shows that it
    has none of them. The frame was authenticated in its place nevertheless.

    Raises:
        UnsealError: it was changed or moved, or its key is not in the ring.
        DecodeError: its content is malformed, of an unknown version, or larger than ``max_bytes``.
    """
    packed = sealer.unseal(frame, before=before)
    if below is not None and (first_number(packed) or 0) >= below:
        return None
    content = decode_frame(packed, max_bytes)
    info = frame_info(frame, content, len(content.messages))
    return UnsealedFrame(info, content, before)


@define
class ReadFrames:
    """Frames, from the newest stored one backwards.

    They are neighbours, unless frames were passed over that only have messages that are not needed.

    Attributes:
        session_id: of the conversation.
        frames: newest first.
        numbers: of the messages in them, newest first.
        unpacked: the bytes of all of them; see ``FrameContent``.
        oldest: the oldest frame that was read, still sealed.
    """

    session_id: SessionId
    frames: list[UnsealedFrame] = field(factory=list)
    numbers: list[int] = field(factory=list)
    unpacked: int = 0
    oldest: bytes = b""

    def add(self, frame: UnsealedFrame) -> None:
        """Add the frame before all others."""
        self.frames.append(frame)
        self.numbers += [record.number for record in reversed(frame.content.messages)]
        self.unpacked += frame.content.unpacked

    @property
    def head(self) -> HeadRecord:
        """The head of the conversation.

        Raises:
            UnsealError: the newest frame has none.
        """
        head = self.frames[0].content.head
        if head is None:
            raise UnsealError("the last frame has no head")
        return head

    def count_below(self, number: int) -> int:
        """How many messages have a lower number."""
        return len(self.numbers) - bisect_right(self.numbers, -number, key=neg)


def assemble(read: ReadFrames) -> Stored:
    """The conversation in these frames.

    Raises:
        UnsealError: the newest frame has no head.
        DecodeError: the head does not fit the messages, or one of these is malformed.
    """
    frames, before = read.frames[::-1], size_before(read.head)
    records = [record for frame in frames for record in frame.content.messages]
    chain = FrameChain(
        frames=tuple(frame.info for frame in frames),
        before=frames[0].before,
        # The head's sizes include the loaded frames before it, so they are subtracted.
        size_before=SizeBefore(
            before.sealed - sum(frame.info.size for frame in frames[:-1]),
            before.unpacked - sum(frame.info.unpacked for frame in frames[:-1]),
            before.images - sum(frame.info.images for frame in frames[:-1]),
        ),
        oldest_key=_key_id_of(read.oldest),
    )
    return Stored(conversation_of(read.session_id, read.head, records), chain)


@frozen
class StoredPage:
    """Some messages of a conversation.

    Attributes:
        conversation: without messages.
        tag: the tag of its newest frame.
        messages: oldest first.
        has_more: whether there are messages before them.
    """

    conversation: Conversation
    tag: bytes
    messages: tuple[Message, ...]
    has_more: bool


def page_of(read: ReadFrames, number: int, limit: int) -> StoredPage:
    """The newest ``limit`` messages with a number below ``number``; no others are decoded.

    Raises:
        UnsealError: the newest frame has no head.
        DecodeError: the head or one of these messages is malformed.
    """
    records = (
        record
        for frame in read.frames
        for record in reversed(frame.content.messages)
        if record.number < number
    )
    newest_first = list(islice(records, limit))
    return StoredPage(
        conversation=conversation_of(read.session_id, read.head, ()),
        tag=read.frames[0].info.tag,
        messages=messages_of(reversed(newest_first)),
        has_more=read.count_below(number) > limit,
    )


def _key_id_of(frame: bytes) -> bytes | None:
    with suppress(UnsealError):
        return header_of(frame).key_id
    return None


def frame_info(frame: bytes, content: FrameContent | EncodedFrame, messages: int) -> FrameInfo:
    """Describes a sealed frame with this content, which has so many ``messages``."""
    header = header_of(frame)
    return FrameInfo(
        first=header.first,
        last=header.last,
        tag=tag_of(frame),
        key_id=header.key_id,
        size=len(frame),
        unpacked=content.unpacked,
        images=content.images,
        messages=messages,
    )
