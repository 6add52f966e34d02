"""Tool results, and the turn that continues a reply with them.

Clients send all results that they have, so results that are stored already are ignored.
"""

from collections.abc import Sequence

from attrs import evolve

from domain.model.conversation import Conversation
from domain.model.errors import InvalidInput
from domain.model.limits import MAX_TOOL_RESULT_BYTES
from domain.model.message import Message, MessageStatus, ToolResultPart, utf8_length
from domain.model.turn import Turn, TurnStatus
from domain.service.reply_reading import split_before_turn
from domain.service.turn_lifecycle import NewTurn, opened_by, require_no_open_turn, with_open_turn


def tool_result(call_id: str, output: str, *, failed: bool = False) -> ToolResultPart:
    """The result of a tool call; ``output`` is JSON text.

    Raises:
        InvalidInput: ``tool_result_too_long`` if it has more than 32,768 bytes of UTF-8.
    """
    if utf8_length(output) > MAX_TOOL_RESULT_BYTES:
        why = f"A tool result has at most {MAX_TOOL_RESULT_BYTES:,} bytes."
        raise InvalidInput("tool_result_too_long", why, field="output")
    return ToolResultPart(call_id=call_id, output=output, failed=failed)


def new_results(
    conversation: Conversation, results: Sequence[ToolResultPart]
) -> tuple[ToolResultPart, ...]:
    """The results whose tool calls have no result in the last message yet; one for each call."""
    last = conversation.messages[-1].parts if conversation.messages else ()
    answered = {part.call_id for part in last if isinstance(part, ToolResultPart)}
    by_call = {result.call_id: result for result in results}
    return tuple(result for call_id, result in by_call.items() if call_id not in answered)


def is_continuing_with(conversation: Conversation, results: Sequence[ToolResultPart]) -> bool:
    """Whether the open turn continues with these results, so that a repeated request joins it."""
    turn = conversation.open_turn
    are_stored = bool(results) and not new_results(conversation, results)
    return turn is not None and _has_tool_results(turn) and are_stored


def submit_tool_results(
    conversation: Conversation, new_turn: NewTurn, results: Sequence[ToolResultPart]
) -> Conversation:
    """The conversation with the results in its last message, which a new turn continues.

    If a turn that continued with the same results has failed, they can be sent again. The new turn
    replaces what the failed one added.

    Raises:
        TurnInProgress: another turn is open; it cannot be interrupted for tool results.
        InvalidInput: ``tool_results_unexpected`` if the last message does not wait for exactly
            these results.
    """
    if opened_by(conversation, new_turn):
        return conversation
    require_no_open_turn(conversation, can_interrupt=False)
    last = conversation.messages[-1] if conversation.messages else None
    continued = None if last is None else _with_results(conversation, last, results)
    if continued is None:
        why = "These tool results do not match the open tool calls."
        raise InvalidInput("tool_results_unexpected", why)
    answered = evolve(conversation, messages=(*conversation.messages[:-1], continued))
    return with_open_turn(
        answered,
        evolve(new_turn, reply_id=continued.id),
        continues=True,
        parts_before=len(continued.parts),
    )


def _has_tool_results(turn: Turn) -> bool:
    """Whether the turn continues a reply because its tool calls have results."""
    return turn.continues and turn.cut_at is None


def _with_results(
    conversation: Conversation, last: Message, results: Sequence[ToolResultPart]
) -> Message | None:
    """The last message, ready to be continued; None if these results cannot continue it."""
    open_ids = {call.call_id for call in last.open_tool_calls}
    if open_ids:
        new = new_results(conversation, results)
        is_all = {result.call_id for result in new} == open_ids
        return evolve(last, parts=(*last.parts, *new)) if is_all else None
    turn = conversation.turn
    if turn is None or not _has_tool_results(turn) or turn.status is not TurnStatus.FAILED:
        return None
    stored = {part for part in last.parts if isinstance(part, ToolResultPart)}
    if not (results and stored.issuperset(results)):
        return None
    return evolve(last, parts=split_before_turn(last, turn)[0], status=MessageStatus.FINISHED)
