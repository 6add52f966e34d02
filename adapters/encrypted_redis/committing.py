"""Carrying out a write: state, stay and, when it opens a turn, its log, in one step."""

from datetime import timedelta
from typing import Final

from adapters.encrypted_redis.commands import Commands
from adapters.encrypted_redis.frames import Stored
from adapters.encrypted_redis.keyspace import log_key, milliseconds, state_key
from adapters.encrypted_redis.scripts import FORGET, REOPEN, SPLICE
from adapters.encrypted_redis.turn_log import RedisTurnLog
from adapters.encrypted_redis.writing import Write
from domain.model.conversation import Conversation
from domain.model.errors import ConversationTooLarge
from domain.model.identifiers import Owner
from domain.model.limits import MAX_CONVERSATION_BYTES
from domain.model.turn import Turn

AS_IT_IS: Final = timedelta()
_NO_LOG: Final = ("", "", "", 0)


class Commit:
    """Commits writes. A repeat sends the same bytes and is exact."""

    def __init__(self, commands: Commands, log: RedisTurnLog) -> None:
        """``log`` seals the heads of the logs that are opened."""
        self._commands = commands
        self._log = log

    async def __call__(
        self, owner: Owner, write: Write, opening: Turn | None, stay: timedelta
    ) -> bytes:
        """``OK``, ``CONFLICT``, ``EXISTS`` or ``GONE``; ``stay`` may be ``AS_IT_IS``.

        Raises:
            ConversationTooLarge: a turn would be opened in a conversation at its bound.
            StoreUnavailable: Redis does not answer.
        """
        if opening is not None and write.after.size > MAX_CONVERSATION_BYTES:
            raise ConversationTooLarge
        session_id = write.after.conversation.id
        log = _NO_LOG if opening is None else self._log.head(owner, session_id, opening)
        answer: bytes = await self._commands.run(
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
            self._log.opened(owner, session_id, opening)
        return answer

    async def reopen_log(self, owner: Owner, stored: Stored, turn: Turn) -> bytes:
        """``OK`` or ``OPENED``, or ``CONFLICT`` or ``GONE`` when this is no longer what is stored.

        Raises:
            StoreUnavailable: Redis does not answer.
        """
        session_id = stored.conversation.id
        answer: bytes = await self._commands.run(
            "log",
            REOPEN,
            (state_key(session_id), log_key(session_id)),
            stored.places[-1].tag,
            *self._log.head(owner, session_id, turn),
            repeat=True,
        )
        if answer == b"OPENED":
            # What Redis had of the turn is lost: it is to get all of it again.
            self._log.opened(owner, session_id, turn)
        return answer

    async def forget(self, stored: Stored) -> bytes:
        """``OK`` or ``GONE``, or ``CONFLICT`` when this is no longer what is stored.

        Raises:
            StoreUnavailable: Redis does not answer.
        """
        session_id, tag = stored.conversation.id, stored.places[-1].tag
        keys = (state_key(session_id), log_key(session_id))
        answer: bytes = await self._commands.run("forget", FORGET, keys, tag, repeat=True)
        if answer == b"OK":
            self._log.let_go(session_id)
        return answer


def newly_opened(before: Conversation, after: Conversation) -> Turn | None:
    """The turn that this change opens, absent when it opens none."""
    turn, known = after.open_turn, before.turn
    return turn if turn is not None and (known is None or known.id != turn.id) else None
