"""A conversation as a list of frames: opening what is stored, deciding what to write.

A turn is one frame; when a turn has ended and eight single frames stand at the end, they become
one. The last frame carries the head. Revisions count the frames there ever were: a merged frame
holds as many as it was made of. Nothing here waits or touches Redis.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from attrs import frozen

from adapters.sealing.sealer import (
    NO_FRAME_BEFORE,
    BoundSealer,
    Unopenable,
    header_of,
    tag_of,
)
from adapters.wire_format.conversation_record import (
    FrameContent,
    HeadRecord,
    conversation_of,
    decode_frame,
)
from domain.model.conversation import Conversation
from domain.model.identifiers import SessionId

FIRST_REVISION: Final = 1


@frozen
class Place:
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
    places: tuple[Place, ...]
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

    place: Place
    content: FrameContent
    before: bytes


def opened(frame: bytes, before: bytes, sealer: BoundSealer) -> OpenedFrame:
    """One frame.

    Raises:
        Unopenable, Unpackable: it is not as it was sealed.
    """
    content = decode_frame(sealer.open(frame, before=before))
    return OpenedFrame(place_of(frame, len(content.messages)), content, before)


def joined(
    session_id: SessionId, newest_first: Sequence[OpenedFrame], oldest: bytes = b""
) -> Stored:
    """The conversation that these neighbouring frames, the last of its list, hold.

    ``oldest`` is the oldest frame that was seen, as it is stored.

    That none is missing between them, or before the first of all, is known already: each opened
    only behind the tag of the one before.

    Raises:
        Unopenable: the last has no head.
        Unpackable: the head does not fit the messages.
    """
    frames = tuple(reversed(newest_first))
    head = frames[-1].content.head
    if head is None:
        raise Unopenable("the last frame has no head")
    messages = tuple(said for frame in frames for said in frame.content.messages)
    return Stored(
        conversation=conversation_of(session_id, head, messages),
        places=tuple(frame.place for frame in frames),
        before=frames[0].before,
        size_before=_size_before(head, frames),
        oldest_key=_key_of(oldest),
    )


def _key_of(frame: bytes) -> bytes | None:
    with suppress(Unopenable):
        return header_of(frame).key_id
    return None


def _size_before(head: HeadRecord, frames: Sequence[OpenedFrame]) -> int:
    return head.size_before - sum(frame.place.size for frame in frames[:-1])


def place_of(frame: bytes, messages: int) -> Place:
    """What is known of a frame that holds so many messages."""
    header = header_of(frame)
    return Place(header.first, header.last, tag_of(frame), header.key_id, len(frame), messages)
