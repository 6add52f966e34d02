"""Which results of tools are news. A client may tell all it knows, again and again."""

from collections.abc import Sequence

from domain.model.conversation import Conversation
from domain.model.errors import InvalidInput
from domain.model.limits import MAX_TOOL_RESULT_BYTES
from domain.model.message import ToolResultPart


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


def _answered(conversation: Conversation) -> frozenset[str]:
    parts = conversation.messages[-1].parts if conversation.messages else ()
    return frozenset(part.call_id for part in parts if isinstance(part, ToolResultPart))
