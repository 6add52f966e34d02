"""What holds in every long conversation, whatever the sizes of its messages."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise

from attrs import evolve, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.model.budget import Budget
from domain.model.conversation import Conversation
from domain.model.errors import InvalidInput
from domain.model.message import FinishReason, Message, Role, ToolCallPart, ToolResultPart
from domain.model.piece import Piece, TextPiece, ToolCallPiece
from domain.model.prompt import DEFAULT_OPTIONS, Prompt
from domain.service.forgetting import KEEP, fitted, step
from domain.service.prompt_building import build_prompt, prompt_tokens, room_for_messages
from domain.service.tool_answers import submit_tool_results, tool_result
from domain.service.turn_lifecycle import finish
from tests.support.builders import a_conversation, a_new_turn, turn_id, with_answer, with_question
from tests.support.clocks import NOON
from tests.support.token_rates import BYTES

SYSTEM = "Be brief."
BUDGET = Budget(tokens=1_000, reply_tokens=200, rates=BYTES)
ROOM = room_for_messages(a_conversation(), SYSTEM, BUDGET, DEFAULT_OPTIONS).usual


@frozen(kw_only=True)
class Exchange:
    """How many bytes the question and the answer have; with a tool, the model calls it first."""

    question: int
    answer: int
    has_tool: bool = False
    is_folded: bool = False


EXCHANGES = st.builds(
    Exchange,
    question=st.integers(1, 300) | st.integers(300, 1_200),
    answer=st.integers(1, 200),
    has_tool=st.booleans(),
    is_folded=st.booleans(),
)


class LongConversation:
    """A conversation that goes on turn by turn, and every prompt in it."""

    def __init__(self) -> None:
        self.conversation = a_conversation()
        self.prompts: list[Prompt] = []
        self.memory_from: list[int] = []
        self.turns = 0
        self.sent: list[str] = []

    def take(self, exchange: Exchange) -> None:
        """Go on with the exchange; with what is refused, nothing is stored."""
        with suppress(InvalidInput):
            self._take(exchange)

    def _take(self, exchange: Exchange) -> None:
        number = self.turns + 1
        question, answer = "q" * exchange.question, "a" * exchange.answer
        self._open(with_question(self.conversation, question, number))
        self.sent.append(question)
        if exchange.has_tool:
            call = ToolCallPiece(call_id=f"c{number}", name="look", arguments="{}")
            self._finish(call)
            result = tool_result(f"c{number}", f'"{"r" * exchange.answer}"')
            new_turn = a_new_turn(self.turns + 1)
            self._open(submit_tool_results(self.conversation, new_turn, [result]))
        self._finish(TextPiece(answer))
        self.sent.append(answer)
        if exchange.is_folded:
            self._fold()

    def _open(self, opened: Conversation) -> None:
        self.conversation = fitted(opened, SYSTEM, BUDGET)
        self.turns += 1
        self.memory_from.append(self.conversation.working_memory_from)
        self.prompts.append(build_prompt(self.conversation, SYSTEM, BUDGET))

    def _finish(self, *pieces: Piece) -> None:
        turn, reason = turn_id(self.turns), FinishReason.STOP
        self.conversation = finish(self.conversation, turn, pieces, NOON, reason=reason)

    def _fold(self) -> None:
        first = step(self.conversation, SYSTEM, BUDGET)
        if first is not None:
            self.conversation = evolve(
                self.conversation, working_memory_from=first, summary="It rains."
            )


def after(exchanges: Sequence[Exchange]) -> LongConversation:
    long = LongConversation()
    for exchange in exchanges:
        long.take(exchange)
    return long


MANY = settings(max_examples=60)


@MANY
@given(st.lists(EXCHANGES, max_size=40))
def test_nothing_is_lost_from_the_history(exchanges: list[Exchange]) -> None:
    long = after(exchanges)

    assert [message.text for message in long.conversation.messages if message.text] == long.sent


@MANY
@given(st.lists(EXCHANGES, max_size=40))
def test_a_prompt_and_its_reply_never_take_more_than_the_budget(exchanges: list[Exchange]) -> None:
    for prompt in after(exchanges).prompts:
        assert prompt.reply_tokens >= BUDGET.reply_tokens // 4
        assert prompt_tokens(prompt, BYTES) + prompt.reply_tokens <= BUDGET.tokens


def is_whole(messages: Sequence[Message]) -> bool:
    calls, results = (
        {part.call_id for message in messages for part in message.parts if isinstance(part, kind)}
        for kind in (ToolCallPart, ToolResultPart)
    )
    return messages[0].role is Role.USER and calls >= results


@MANY
@given(st.lists(EXCHANGES, max_size=40))
def test_an_exchange_is_never_split(exchanges: list[Exchange]) -> None:
    long = after(exchanges)

    assert all(is_whole(prompt.messages) for prompt in long.prompts)
    assert [prompt.messages[0].number for prompt in long.prompts] == long.memory_from
    newest = long.prompts[-1].messages if long.prompts else ()
    assert newest == () or newest[-1].number >= long.conversation.next_number - 2


@MANY
@given(st.lists(EXCHANGES, max_size=40))
def test_a_prompt_begins_as_the_one_before_unless_messages_have_left(
    exchanges: list[Exchange],
) -> None:
    prompts = after(exchanges).prompts
    for before, prompt in pairwise(prompts):
        first, was_first = prompt.messages[0].number, before.messages[0].number
        kept = before.messages[:-1]

        # The last message may be a reply that has been continued since.
        assert first > was_first or prompt.messages[: len(kept)] == kept
        assert first > was_first or prompt.system == before.system


@MANY
@given(question=st.integers(1, 100), answer=st.integers(1, 100), is_folded=st.booleans())
def test_messages_leave_rarely(question: int, answer: int, *, is_folded: bool) -> None:
    exchange = Exchange(question=question, answer=answer, is_folded=is_folded)
    firsts = [prompt.messages[0].number for prompt in after([exchange] * 60).prompts]
    steps = [turn for turn, (was, first) in enumerate(pairwise(firsts)) if first != was]
    # Without folding, messages leave once the room is full; otherwise at three quarters of it.
    freed = (0.75 if is_folded else 1) - KEEP
    at_least = int((freed * ROOM - 120) / (question + answer))

    assert all(later - earlier >= at_least for earlier, later in pairwise(steps))
    assert steps or 60 * (question + answer) < ROOM + question + answer


@MANY
@given(st.lists(st.integers(1, 300), min_size=1, max_size=40))
def test_requests_that_hold_the_whole_history_get_the_same_prompts(sizes: list[int]) -> None:
    whole = stored = a_conversation()
    for number, size in enumerate(sizes, 1):
        whole = with_question(whole, "q" * size, number)
        stored = fitted(with_question(stored, "q" * size, number), SYSTEM, BUDGET)

        first = fitted(whole, SYSTEM, BUDGET).working_memory_from
        assert first == stored.working_memory_from
        whole, stored = (
            with_answer(some, "a" * (size // 2 + 1), number) for some in (whole, stored)
        )
