"""Going on with a reply once the client has run the tools it asked for."""

from collections.abc import Sequence

from attrs import frozen

from domain.model.conversation import Conversation
from domain.model.identifiers import ConversationRef, Owner, SessionId
from domain.model.message import ToolResultPart
from domain.model.turn import IdempotencyKey
from domain.service.tool_answers import is_going_on_with, submit_tool_results
from domain.service.turn_lifecycle import NewTurn, turn_for_key
from entrypoints.usecases.open_turn import OnBusy, OpenTurn, Started, StartTurn
from ports.rate_limiter import Quota, RateLimiter


@frozen(kw_only=True)
class ToolResults:
    """What the tools of the last reply answered.

    Attributes:
        results: of every call that is open; those of calls answered before are left aside.
        address: what limits are counted by.
        idempotency: the Idempotency-Key as digests; absent without one.
    """

    session_id: SessionId
    results: Sequence[ToolResultPart]
    address: str
    on_busy: OnBusy = OnBusy.REJECT
    idempotency: IdempotencyKey | None = None

    @property
    def size(self) -> int:
        """Bytes of UTF-8 that they add to what is stored."""
        return sum(len(result.output.encode()) for result in self.results)


@frozen(kw_only=True)
class SubmitToolResults:
    """Opens a turn that continues the message which asked for the tools."""

    start_turn: StartTurn
    open_turn: OpenTurn
    limiter: RateLimiter

    async def __call__(self, owner: Owner, answers: ToolResults) -> Started:
        """The turn that goes on; the running one when it goes on with these results already.

        Raises:
            ConversationNotFound: absent.
            InvalidInput: ``tool_results_unexpected``, the last reply waits for others, or for none.
            IdempotencyKeyReused: the same key with another body.
            TurnInProgress, ConversationTooLarge: nothing was changed.
            TooManyRequests, TooManyTurns, ShuttingDown: nothing was changed.
            PortError: the store failed.
        """
        await self.limiter.consume(answers.address, Quota.STORED, answers.size)
        new_turn = self.start_turn.new_turn(answers.idempotency)

        async def open_it() -> Conversation:
            return await self.open_turn(
                ConversationRef(owner, answers.session_id),
                lambda known: _going_on(known, answers, new_turn),
                answers.on_busy,
                new_turn.turn_id,
            )

        conversation = await self.start_turn(
            owner, new_turn, open_it, address=answers.address, tried=[answers.session_id]
        )
        if conversation.turn is None:
            raise AssertionError("answered tools have a turn")
        return Started(conversation=conversation, turn=conversation.turn)


def _going_on(known: Conversation, answers: ToolResults, new_turn: NewTurn) -> Conversation:
    if turn_for_key(known, answers.idempotency) or is_going_on_with(known, answers.results):
        return known
    return submit_tool_results(known, new_turn, answers.results)
