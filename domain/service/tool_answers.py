"""Results of tools: which are news, since a client tells all it knows, and the turn they open."""

from collections.abc import Sequence
from itertools import takewhile

from attrs import evolve

from domain.model.conversation import Conversation
from domain.model.errors import InvalidInput
from domain.model.limits import MAX_TOOL_RESULT_BYTES
from domain.model.message import Message, MessageStatus, ToolResultPart
from domain.model.turn import TurnStatus
from domain.service.turn_lifecycle import NewTurn, opened_by, require_no_open_turn, with_open_turn


def tool_result(call_id: str, output: str, *, failed: bool = False) -> ToolResultPart:
    """What a tool of the client answered, as JSON text.

    Raises:
        InvalidInput: ``tool_result_too_long``, more than 32,768 bytes of UTF-8.
    """
    if len(output.encode("utf-8", "surrogatepass")) > MAX_TOOL_RESULT_BYTES:
        why = f"The result of a tool has at most {MAX_TOOL_RESULT_BYTES:,} bytes."
        raise InvalidInput("tool_result_too_long", why, field="output")
    return ToolResultPart(call_id=call_id, output=output, failed=failed)


def still_wanted(
    conversation: Conversation, results: Sequence[ToolResultPart]
) -> tuple[ToolResultPart, ...]:
    """The results without those of calls that the last message has results for already."""
    answered = _answered(conversation)
    return tuple(result for result in results if result.call_id not in answered)


def is_going_on_with(conversation: Conversation, results: Sequence[ToolResultPart]) -> bool:
    """Whether the open turn goes on with these results, so that the same ones join it."""
    turn = conversation.open_turn
    told = bool(results) and not still_wanted(conversation, results)
    return turn is not None and turn.continues and told


def submit_tool_results(
    conversation: Conversation, new_turn: NewTurn, results: Sequence[ToolResultPart]
) -> Conversation:
    """The tools that the last reply asked for have answered; its message will go on.

    Results that it has already are no news. All of them given again after a turn that went on with
    them and failed go on once more, without what that one said.

    Raises:
        TurnInProgress: another turn is open; these results are no reason to stop it.
        InvalidInput: the last message is not waiting for exactly these calls.
    """
    if opened_by(conversation, new_turn):
        return conversation
    require_no_open_turn(conversation, can_interrupt=False)
    last = conversation.messages[-1] if conversation.messages else None
    longer = None if last is None else _going_on(conversation, last, results)
    if longer is None:
        raise InvalidInput("tool_results_unexpected", "These tool results were not asked for.")
    answered = evolve(conversation, messages=(*conversation.messages[:-1], longer))
    return with_open_turn(answered, evolve(new_turn, reply_id=longer.id), continues=True)


def _going_on(
    conversation: Conversation, last: Message, results: Sequence[ToolResultPart]
) -> Message | None:
    """The last message before it goes on; absent when it cannot."""
    waiting = {call.call_id for call in last.open_tool_calls}
    if waiting:
        news = still_wanted(conversation, results)
        is_all = {one.call_id for one in news} == waiting
        return evolve(last, parts=(*last.parts, *news)) if is_all else None
    turn = conversation.turn
    has_failed = turn is not None and turn.continues and turn.status is TurnStatus.FAILED
    if not (has_failed and results and all(result in last.parts for result in results)):
        return None
    said_since = takewhile(lambda part: not isinstance(part, ToolResultPart), reversed(last.parts))
    kept = last.parts[: len(last.parts) - len(tuple(said_since))]
    return evolve(last, parts=kept, status=MessageStatus.FINISHED)


def _answered(conversation: Conversation) -> frozenset[str]:
    parts = conversation.messages[-1].parts if conversation.messages else ()
    return frozenset(part.call_id for part in parts if isinstance(part, ToolResultPart))
