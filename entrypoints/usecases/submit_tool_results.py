"""Continues a reply after the client has run the tools that the reply called."""

from collections.abc import Sequence

from attrs import frozen

from domain.model.conversation import Conversation
from domain.model.identifiers import Owner
from domain.model.message import ToolResultPart, text_bytes
from domain.service.tool_answers import is_continuing_with, submit_tool_results
from domain.service.turn_lifecycle import NewTurn
from entrypoints.usecases.open_turn import Started, StartTurn, TurnRequest


@frozen(kw_only=True)
class ToolResults(TurnRequest):
    """The results of the tools that the last reply called.

    Attributes:
        results: one for every open call; results for answered calls are ignored.
    """

    results: Sequence[ToolResultPart]


@frozen(kw_only=True)
class SubmitToolResults:
    """Opens a turn that continues the message which called the tools."""

    start_turn: StartTurn

    async def __call__(self, owner: Owner, request: ToolResults) -> Started:
        """The turn that continues the reply: a new one, or the open one if it has these results.

        Raises:
            ConversationNotFound: it does not exist.
            InvalidInput: ``tool_results_unexpected`` if the last reply does not wait for exactly
                these results.
            IdempotencyKeyReused: the same key with another request.
            RequestAlreadyAnswered: an older turn had the same key.
            TurnInProgress, ConversationFull: nothing was changed.
            TooManyRequests, TooManyTurns, ShuttingDown: nothing was changed.
            PortError: the store failed.
        """

        def change(conversation: Conversation, new_turn: NewTurn) -> Conversation:
            if is_continuing_with(conversation, request.results):
                return conversation
            return submit_tool_results(conversation, new_turn, request.results)

        size = sum(map(text_bytes, request.results))
        return await self.start_turn.in_conversation(owner, request, size, change)
