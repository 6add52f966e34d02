"""Reads a conversation's frames in slices, from the newest backwards, as many as are needed."""

from collections.abc import Callable
from typing import Final, TypeVar

from adapters.encrypted_redis.frame_chain import (
    FRAMES_PER_MERGE,
    READABLE_BYTES,
    ReadFrames,
    Stored,
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

_FIRST_SLICE: Final = 16
"""Frames in the first slice: those that were not merged yet, and usually the working memory."""

_SLICE: Final = 64
"""Frames in every other slice. The frame before a slice is read too, because its tag binds them."""

_ATTEMPTS: Final = 5

StopReading = Callable[[ReadFrames], bool]
"""Returns whether the frames read so far are enough."""

_Result = TypeVar("_Result")


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
        """As ``read_as``: the conversation in the frames."""
        return await self.read_as(assemble, is_enough)

    async def read_as(
        self,
        made_of: Callable[[ReadFrames], _Result],
        is_enough: StopReading,
        below: int | None = None,
    ) -> _Result:
        """What ``made_of`` makes of the newest frames, as many as are needed.

        If only messages numbered below ``below`` are needed, other frames than the newest may be
        passed over without decoding them.

        Raises:
            ConversationNotFound: nothing is stored, or it is another owner's.
            StoredStateUnreadable: a frame cannot be unsealed or decoded.
            ConversationBusy: other writers changed it during every attempt.
            StoreUnavailable: Redis did not answer.
        """
        for _ in range(_ATTEMPTS):
            try:
                with self._client.reporting_unreadable(self._session_id):
                    return await self._read_once(made_of, is_enough, below)
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
            return await self._slice(1, _SLICE)

    async def _read_once(
        self, made_of: Callable[[ReadFrames], _Result], is_enough: StopReading, below: int | None
    ) -> _Result:
        try:
            return made_of(await self._read_backwards(is_enough, below))
        except (UnsealError, DecodeError) as error:
            raise StoredStateUnreadable from error

    async def _slice(self, last: int, length: int) -> list[bytes]:
        """At most ``length`` frames and the one before; the newest is the ``last``-th from the end.

        They are in the order in which they are stored: oldest first.
        """
        key = state_key(self._session_id)
        frames: list[bytes] = await self._client.call_idempotent(
            "load", "LRANGE", key, -last - length, -last
        )
        return frames

    async def _is_anothers(self, newest: list[bytes], length: int) -> bool:
        """Whether another owner has the conversation with these frames, or nobody.

        Older frames count too: somebody may have replaced only the newest ones.
        """
        if not self._all_of_others(newest) or len(newest) <= length:
            return self._all_of_others(newest)
        return self._all_of_others(await self._slice(len(newest), _SLICE))

    def _all_of_others(self, frames: list[bytes]) -> bool:
        return all(self._sealer.ownership(frame) is Ownership.OTHER for frame in frames)

    async def _read_backwards(self, is_enough: StopReading, below: int | None) -> ReadFrames:
        """The newest frames, unsealed.

        Raises:
            ConversationNotFound: nothing is stored, or it is another owner's.
            ConcurrentWrite: the frames changed between two slices.
            UnsealError, DecodeError: a frame cannot be unsealed or decoded.
        """
        length = _FIRST_SLICE
        frames = await self._slice(1, length)
        if await self._is_anothers(frames, length):
            raise ConversationNotFound
        read = ReadFrames(self._session_id)
        index, count = len(frames) - 1, len(frames)
        while True:
            if index == 0 and len(frames) > length:
                length = _SLICE
                older = await self._slice(count, length)
                if not older or older[-1] != frames[0]:
                    raise ConcurrentWrite
                frames, index, count = older, len(older) - 1, count + len(older) - 1
            before = tag_of(frames[index - 1]) if index else NO_FRAME_BEFORE
            left = max(READABLE_BYTES - read.unpacked, 0)
            # The newest frame has the head, so it is never passed over.
            passing = below if read.frames else None
            unsealed = unseal(frames[index], before, self._sealer, left, passing)
            if unsealed is not None:
                read.add(unsealed)
            read.oldest = frames[0]
            if index == 0 or (unsealed is not None and is_enough(read)):
                return read
            index -= 1


def all_frames(_: ReadFrames) -> bool:
    """Never enough: reads all frames."""
    return False


def newest_messages(last: Extent) -> StopReading:
    """Enough once the frames hold the messages that ``last`` names."""
    if last is None:
        return all_frames
    if isinstance(last, int):
        return lambda read: len(read.numbers) >= last
    return _holds_working_memory


def _holds_working_memory(read: ReadFrames) -> bool:
    return bool(read.numbers) and read.numbers[-1] <= prompt_from(read.head)


def enough_to_write(last: Extent) -> StopReading:
    """Enough once the frames hold these messages and show whether a write must merge frames."""
    has_messages = newest_messages(last)

    def is_enough(read: ReadFrames) -> bool:
        frames = read.frames
        has_singles = len(frames) >= FRAMES_PER_MERGE or not frames[-1].info.is_single
        return has_singles and has_messages(read)

    return is_enough


def messages_below(number: int, count: int) -> StopReading:
    """Enough once the frames hold more than ``count`` messages numbered below ``number``."""
    return lambda read: read.count_below(number) > count
