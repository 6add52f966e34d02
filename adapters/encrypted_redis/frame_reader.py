"""Reading a conversation's frames from its newest backwards, in slices, as far as is needed."""

from collections.abc import Callable, Sequence
from typing import Final

from adapters.encrypted_redis.frame_chain import (
    FRAMES_PER_MERGE,
    OpenedFrame,
    Stored,
    joined,
    opened,
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
from adapters.wire_format.packing import DecodeError
from domain.model.errors import ConversationNotFound
from domain.model.identifiers import SessionId
from ports.errors import ConversationBusy, StoredStateUnreadable

SLICE: Final = 64
"""Frames in one reply of Redis; a slice brings one more, for the tag that its first follows."""

_ATTEMPTS: Final = 5

StopReading = Callable[[Sequence[OpenedFrame]], bool]
"""Whether the frames opened so far, newest first, will do."""


class ConcurrentWrite(Exception):
    """Somebody wrote between two slices."""


class FrameReader:
    """Reads one conversation's frames."""

    def __init__(self, commands: RedisClient, session_id: SessionId, sealer: BoundSealer) -> None:
        """``sealer`` is bound to the owner and this session."""
        self._commands = commands
        self._session_id = session_id
        self._sealer = sealer

    async def read(self, enough: StopReading) -> Stored:
        """The newest frames, as many as are needed.

        Raises:
            ConversationNotFound: absent, or another owner's.
            StoredStateUnreadable: something of it does not open.
            ConversationBusy: it was written all the time while it was read.
            StoreUnavailable: Redis does not answer.
        """
        for _ in range(_ATTEMPTS):
            try:
                found, oldest = await self._backwards(enough)
                return joined(self._session_id, found, oldest)
            except ConcurrentWrite:
                continue
            except (UnsealError, DecodeError) as error:
                raise StoredStateUnreadable from error
        raise ConversationBusy

    async def newest(self) -> list[bytes]:
        """The newest frames as they are stored, oldest first; empty when nothing is."""
        return await self._slice(1)

    async def _slice(self, newest: int) -> list[bytes]:
        """At most 65 frames, up to the ``newest``-th from the end."""
        key = state_key(self._session_id)
        frames: list[bytes] = await self._commands.call_idempotent(
            "load", "LRANGE", key, -newest - SLICE, -newest
        )
        return frames

    async def _backwards(self, enough: StopReading) -> tuple[list[OpenedFrame], bytes]:
        """The frames that are enough, newest first, and the oldest that was seen."""
        frames = await self.newest()
        self._check_found(frames)
        found: list[OpenedFrame] = []
        at, seen = len(frames) - 1, len(frames)
        while True:
            if at == 0 and len(frames) > SLICE:
                older = await self._slice(seen)
                if not older or older[-1] != frames[0]:
                    raise ConcurrentWrite
                frames, at, seen = older, len(older) - 1, seen + len(older) - 1
            before = tag_of(frames[at - 1]) if at else NO_FRAME_BEFORE
            found.append(opened(frames[at], before, self._sealer))
            if at == 0 or enough(found):
                return found, frames[0]
            at -= 1

    def _check_found(self, frames: Sequence[bytes]) -> None:
        if all(self._sealer.ownership(frame) is Ownership.OTHER for frame in frames):
            raise ConversationNotFound


def all_frames(_: Sequence[OpenedFrame]) -> bool:
    """Never enough."""
    return False


def newest_messages(count: int | None) -> StopReading:
    """Enough once they hold ``count`` messages; ``None``: all."""
    if count is None:
        return all_frames
    return lambda found: sum(frame.place.messages for frame in found) >= count


def enough_to_write(last: int | None) -> StopReading:
    """Enough for ``last`` messages, and to see whether eight frames are to become one."""
    enough = newest_messages(last)

    def and_the_singles(found: Sequence[OpenedFrame]) -> bool:
        has_singles = len(found) >= FRAMES_PER_MERGE or not found[-1].place.is_single
        return has_singles and enough(found)

    return and_the_singles


def messages_below(number: int, count: int) -> StopReading:
    """Enough once they hold ``count`` messages numbered below ``number``."""

    def enough(found: Sequence[OpenedFrame]) -> bool:
        older = [said for frame in found for said in frame.content.messages if said.number < number]
        return len(older) > count

    return enough
