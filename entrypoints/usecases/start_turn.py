"""Starting a turn: what every way of asking for a reply has in common."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from attrs import frozen

from domain.model.conversation import Conversation
from domain.model.identifiers import Owner, SessionId
from domain.model.turn import RequestKey, Turn
from domain.model.wishes import NO_WISHES, Wishes
from domain.service.turn_taking import Opening
from entrypoints.usecases.abandon_turn import AbandonTurn
from entrypoints.usecases.make_reply import MakeReply
from ports.clock import Clock
from ports.errors import TooManyRequests
from ports.identifier_source import IdentifierSource
from ports.rate_limiter import RateLimiter, Share
from ports.turn_runner import Signals, TurnRunner


@frozen(kw_only=True)
class Started:
    """A turn to follow.

    Attributes:
        conversation: as it was stored when the turn was opened, or joined.
        turn: the turn; another request's when this one repeats it.
        restarted: whether the conversation that was asked for is gone and a new one was begun.
    """

    conversation: Conversation
    turn: Turn
    restarted: bool = False


@frozen(kw_only=True)
class StartTurn:
    """Opens a turn and has its reply made, both apart from the caller."""

    runner: TurnRunner
    make_reply: MakeReply
    abandon_turn: AbandonTurn
    limiter: RateLimiter
    identifiers: IdentifierSource
    clock: Clock

    def opening(self, request: RequestKey | None = None) -> Opening:
        """The names and the time of a new turn."""
        return Opening(
            turn_id=self.identifiers.turn_id(),
            reply_id=self.identifiers.message_id(),
            at=self.clock.now(),
            request=request,
        )

    async def __call__(
        self,
        owner: Owner,
        opening: Opening,
        open_it: Callable[[], Awaitable[Conversation]],
        *,
        address: str,
        tried: Sequence[SessionId],
        wishes: Wishes = NO_WISHES,
    ) -> Conversation:
        """What ``open_it`` stored; the reply, as ``wishes`` has it, is being made from now on.

        The last of ``tried`` is where ``open_it`` tried to open the turn: when the store does not
        tell whether it did, the turn is closed there.

        Raises:
            TooManyTurns, ShuttingDown: ``open_it`` was not called.
            Exception: whatever ``open_it`` raised.
        """

        async def replying(conversation: Conversation, signals: Signals) -> None:
            stored = await self.make_reply(owner, conversation, signals, wishes)
            # What is said is said: a share that is used up stops the next request, not this reply.
            with suppress(TooManyRequests):
                await self.limiter.spend(address, Share.STORED, stored)

        async def abandoning() -> None:
            for session_id in tried[-1:]:
                await self.abandon_turn(owner, session_id, opening.turn_id)

        return await self.runner.run(opening.turn_id, open_it, replying, abandoning)
