"""Reads a conversation's frames in slices, from the newest backwards, as many as are needed."""

from collections.abc import Callable, Sequence
from typing import Final

from adapters.encrypted_redis.frame_chain import (
    FRAMES_PER_MERGE,
    READABLE_BYTES,
    Stored,
    UnsealedFrame,
    assemble,
    unseal,
)
from adapters.encrypted_redis.keys_and_scripts import state_key
from adapters.encrypted_redis.redis_client import RedisClient
from adapters.sealing.sealer import (
    NO_FRAME_BEFORE,
    BoundSealer,
    Ownership,
    UnsealError,
    tag_of,
)
from adapters.wire_format.conversation_record import prompt_from
from adapters.wire_format.packing import DecodeError
from domain.model.conversation import Extent
from domain.model.errors import ConversationNotFound
from domain.model.identifiers import SessionId
from ports.errors import ConversationBusy, StoredStateUnreadable

_SLICE: Final = 64
"""Frames per slice. The frame before them is read too, because they are bound to its tag."""

_ATTEMPTS: Final = 5

StopReading = Callable[[Sequence[UnsealedFrame]], bool]
"""Returns whether the frames unsealed so far, newest first, are enough."""


class ConcurrentWrite(Exception):
    """The frames changed between two slices."""


class FrameReader:
    """Reads one conversation's frames."""

    def __init__(self, client: RedisClient, session_id: SessionId, sealer: BoundSealer) -> None:
        """``sealer`` is bound to the owner and this session."""
        self._client = client
        self._session_id = session_id
        self._sealer = sealer

    async def read(self, is_enough: StopReading) -> Stored:
        """The newest frames, as many as are needed.

        Raises:
            ConversationNotFound: nothing is stored, or it is another owner's.
            StoredStateUnreadable: a frame cannot be unsealed or decoded.
            ConversationBusy: other writers changed it during every attempt.
            StoreUnavailable: Redis did not answer.
        """
        for _ in range(_ATTEMPTS):
            try:
                with self._client.reporting_unreadable(self._session_id):
                    return await self._read_once(is_enough)
            except ConcurrentWrite:
                continue
        raise ConversationBusy

    async def newest(self) -> list[bytes]:
        """The newest frames, sealed, oldest first; empty if nothing is stored.

        Raises:
            StoredStateUnreadable: what is stored is not a list.
            StoreUnavailable: Redis did not answer.
        """
        with self._client.reporting_unreadable(self._session_id):
            return await self._slice(1)

    async def _read_once(self, is_enough: StopReading) -> Stored:
        try:
            frames, oldest = await self._read_backwards(is_enough)
            return assemble(self._session_id, frames, oldest)
        except (UnsealError, DecodeError) as error:
            raise StoredStateUnreadable from error

    async def _slice(self, last: int) -> list[bytes]:
        """At most 65 frames, oldest first, up to and including the ``last``-th from the end."""
        key = state_key(self._session_id)
        frames: list[bytes] = await self._client.call_idempotent(
            "load", "LRANGE", key, -last - _SLICE, -last
        )
        return frames

    async def _read_backwards(self, is_enough: StopReading) -> tuple[list[UnsealedFrame], bytes]:
        """The unsealed frames, newest first, and the oldest one read, still sealed.

        Raises:
            ConversationNotFound: nothing is stored, or it is another owner's.
            ConcurrentWrite: the frames changed between two slices.
            UnsealError, DecodeError: a frame cannot be unsealed or decoded.
        """
        frames = await self._slice(1)
        if all(self._sealer.ownership(frame) is Ownership.OTHER for frame in frames):
            raise ConversationNotFound
        unsealed: list[UnsealedFrame] = []
        index, count = len(frames) - 1, len(frames)
        while True:
            if index == 0 and len(frames) > _SLICE:
                older = await self._slice(count)
                if not older or older[-1] != frames[0]:
                    raise ConcurrentWrite
                frames, index, count = older, len(older) - 1, count + len(older) - 1
            before = tag_of(frames[index - 1]) if index else NO_FRAME_BEFORE
            left = READABLE_BYTES - sum(frame.content.unpacked for frame in unsealed)
            unsealed.append(unseal(frames[index], before, self._sealer, max(left, 0)))
            if index == 0 or is_enough(unsealed):
                return unsealed, frames[0]
            index -= 1


def all_frames(_: Sequence[UnsealedFrame]) -> bool:
    """Never enough: reads all frames."""
    return False


def newest_messages(last: Extent) -> StopReading:
    """Enough once the frames hold the messages that ``last`` names."""
    if last is None:
        return all_frames
    if isinstance(last, int):
        return lambda frames: sum(frame.info.messages for frame in frames) >= last
    return _holds_working_memory


def _holds_working_memory(frames: Sequence[UnsealedFrame]) -> bool:
    head, messages = frames[0].content.head, frames[-1].content.messages
    return head is None or (bool(messages) and messages[0].number <= prompt_from(head))


def enough_to_write(last: Extent) -> StopReading:
    """Enough once the frames hold these messages and show whether a write must merge frames."""
    has_messages = newest_messages(last)

    def is_enough(frames: Sequence[UnsealedFrame]) -> bool:
        has_singles = len(frames) >= FRAMES_PER_MERGE or not frames[-1].info.is_single
        return has_singles and has_messages(frames)

    return is_enough


def messages_below(number: int, count: int) -> StopReading:
    """Enough once the frames hold more than ``count`` messages numbered below ``number``."""

    def is_enough(frames: Sequence[UnsealedFrame]) -> bool:
        below = sum(
            message.number < number for frame in frames for message in frame.content.messages
        )
        return below > count

    return is_enough
