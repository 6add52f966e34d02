"""Turns that a hook prepares."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import pytest

from domain.model.message import FinishReason, Role, SourcePart, TextPart
from domain.model.piece import (
    ModelFinished,
    ModelPiece,
    NumberedPiece,
    Piece,
    SourcePiece,
    StatePiece,
    TextPiece,
)
from domain.model.preparation import HookPolicy, Preparation, Question, TurnKind
from domain.model.prompt import Passage, Prompt, ReplyOptions
from domain.model.turn import Outcome, TurnPolicy
from entrypoints.usecases.create_response import InputItem, ResponseRequest
from entrypoints.usecases.ephemeral_reply import EphemeralReply
from entrypoints.usecases.fold_summary import FoldAttempts
from entrypoints.usecases.regenerate import RegenerateRequest
from ports.language_model import ModelUnavailable
from ports.turn_hook import (
    HookAnswerInvalid,
    HookError,
    HookFailure,
    HookTimedOut,
    HookUnavailable,
    TurnHook,
)
from tests.support.builders import ID, OWNER, REF, a_conversation, texts_of, with_question
from tests.support.clocks import ManualClock
from tests.support.dead_turns import a_dead_turn
from tests.support.fake_model import FakeModel, InstantModel
from tests.support.fakes import FakeSignals, TickingSignals
from tests.support.harness import PAYER, WHEN_IT_COMES, Harness, a_harness
from tests.support.scripted_hook import ComputingHook, ScriptedHook, SilentHook

PASSAGES = tuple(
    Passage(title=f"Title {number}", text=f"Text {number}. ", url=f"https://x.example/{number}")
    for number in (1, 2, 3)
)
SOURCES = tuple(
    SourcePart(
        id=f"s{number}",
        title=f"Title {number}",
        url=f"https://x.example/{number}",
        excerpt=f"Text {number}. ",
    )
    for number in (1, 2, 3)
)
OPTIONAL = HookPolicy(enabled=True, is_required=False)
FAILURES: list[HookError] = [
    HookUnavailable(HookFailure(status=503)),
    HookTimedOut(HookFailure(reason="timeout")),
    HookAnswerInvalid(HookFailure(status=200, field="passages[2].url")),
]


def code_of(error: HookError) -> str:
    return error.code


async def test_the_model_gets_what_the_hook_wants_for_this_turn_only() -> None:
    model = InstantModel("Hi!")
    hook = ScriptedHook(Preparation(instructions="Be kind.", passages=PASSAGES))
    harness = a_harness(model, hook=hook)

    started = await harness.send("Hello?")
    await harness.end_of(started)
    second = await harness.send("And now?", session_id=started.conversation.id)
    await harness.end_of(second)

    first, later = model.prompts
    assert first.system.endswith("\n\nBe kind.")
    assert [passage.title for passage in first.options.passages] == [
        "Title 1",
        "Title 2",
        "Title 3",
    ]
    assert later.system == first.system.removesuffix("\n\nBe kind.")
    assert later.passages is None


async def test_the_sources_are_logged_and_stored_before_the_reply() -> None:
    harness = a_harness(hook=ScriptedHook(Preparation(passages=PASSAGES)))

    started = await harness.send()
    whole = await harness.whole_turn(started)

    expected = [*map(SourcePiece, SOURCES), TextPiece("Hi!")]
    assert [numbered.piece for numbered in whole.pieces] == expected
    assert [numbered.number for numbered in whole.pieces] == [1, 2, 3, 4]
    reply = (await harness.stored(started.conversation.id)).messages[-1]
    assert reply.parts == (*SOURCES, TextPart("Hi!"))


async def test_a_finished_reply_is_the_whole_reply_and_the_model_is_not_asked() -> None:
    model = InstantModel("Hi!")
    answer = Preparation(reply="Welcome.", passages=PASSAGES[:1], changes_state=True, state="1")
    harness = a_harness(model, hook=ScriptedHook(answer))

    started = await harness.send()
    whole = await harness.whole_turn(started)

    assert model.prompts == []
    assert [numbered.piece for numbered in whole.pieces] == [
        SourcePiece(SOURCES[0]),
        StatePiece("1"),
        TextPiece("Welcome."),
    ]
    assert whole.end is not None
    assert (whole.end.outcome, whole.end.finish_reason) == (Outcome.FINISHED, FinishReason.STOP)
    reply = (await harness.stored(started.conversation.id)).messages[-1]
    assert (reply.text, reply.usage) == ("Welcome.", None)


@pytest.mark.parametrize("error", FAILURES, ids=code_of)
async def test_a_hook_that_fails_ends_the_turn_before_anything_is_written(
    error: HookError,
) -> None:
    model = InstantModel("Hi!")
    harness = a_harness(model, hook=ScriptedHook(error))

    started = await harness.send("Hello?")
    whole = await harness.whole_turn(started)
    again = await harness.send("Hello?", session_id=started.conversation.id)

    assert whole.end is not None
    assert (whole.end.outcome, whole.end.error) == (Outcome.FAILED, error.code)
    assert not whole.pieces
    assert (await harness.end_of(again)).outcome is Outcome.FINISHED
    assert texts_of(await harness.stored(started.conversation.id)) == ["Hello?", "Hi!"]
    assert len(model.prompts) == 1


@pytest.mark.parametrize("error", FAILURES, ids=code_of)
async def test_a_hook_that_is_not_required_may_fail(error: HookError) -> None:
    harness = a_harness(hook=ScriptedHook(error), hook_policy=OPTIONAL)

    started = await harness.send("Hello?")

    assert (await harness.end_of(started)).outcome is Outcome.FINISHED
    assert texts_of(await harness.stored(started.conversation.id)) == ["Hello?", "Hi!"]


@pytest.mark.parametrize("policy", [HookPolicy(enabled=True), OPTIONAL])
async def test_a_failure_is_reported_in_any_case(policy: HookPolicy) -> None:
    harness = a_harness(hook=ScriptedHook(FAILURES[2]), hook_policy=policy)

    await harness.end_of(await harness.send("planted words"))

    assert harness.telemetry.fields_of("hook.failed") == [
        {
            "error": "hook_answer_invalid",
            "host": None,
            "status": 200,
            "reason": None,
            "field": "passages[2].url",
        }
    ]


async def test_a_hook_that_is_not_enabled_is_not_asked() -> None:
    hook = ScriptedHook()
    harness = a_harness(hook=hook, hook_policy=HookPolicy())
    conversation = with_question(a_conversation())
    await harness.store.create(OWNER, conversation)

    await harness.run_turn(conversation)

    assert hook.questions == []
    [fields] = harness.telemetry.fields_of("turn.finished")
    assert fields["hook_seconds"] is None


async def test_the_report_says_how_long_the_hook_took() -> None:
    clock = ManualClock()

    def slowly(_: Question) -> Preparation:
        clock.advance(timedelta(seconds=1.25))
        return Preparation()

    harness = a_harness(hook=ComputingHook(slowly), clock=clock)
    conversation = with_question(a_conversation())
    await harness.store.create(OWNER, conversation)
    await harness.run_turn(conversation)

    [fields] = harness.telemetry.fields_of("turn.finished")
    assert (fields["hook_seconds"], fields["seconds"]) == (1.25, 1.25)


async def test_nothing_of_the_hook_is_written_if_the_model_fails_at_once() -> None:
    answer = Preparation(passages=PASSAGES, changes_state=True, state="1")
    harness = a_harness(InstantModel(error=ModelUnavailable()), hook=ScriptedHook(answer))

    started = await harness.send("Hello?")
    whole = await harness.whole_turn(started)

    assert not whole.pieces
    assert texts_of(await harness.stored(started.conversation.id)) == ["Hello?"]


async def test_the_sources_of_an_empty_reply_are_written_at_its_end() -> None:
    harness = a_harness(InstantModel(), hook=ScriptedHook(Preparation(passages=PASSAGES)))

    whole = await harness.whole_turn(await harness.send())

    assert [numbered.piece for numbered in whole.pieces] == [*map(SourcePiece, SOURCES)]


@pytest.mark.parametrize(
    "logged", [[], [SourcePiece(SOURCES[0])], [SourcePiece(SOURCES[0]), StatePiece("1")]]
)
async def test_a_process_that_dies_before_the_model_writes_leaves_nothing_of_the_hook(
    logged: list[Piece],
) -> None:
    harness = await a_dead_turn()
    turn = (await harness.stored(ID)).turn
    assert turn is not None
    pieces = [NumberedPiece(number, piece) for number, piece in enumerate(logged, 1)]
    await harness.log.append(REF, turn, pieces)
    harness.clock.advance(TurnPolicy().dead_after)

    again = await harness.send("Hello?", session_id=ID)
    await harness.end_of(again)

    stored = await harness.stored(ID)
    assert texts_of(stored) == ["Hello?", "Hi!"]
    assert stored.messages[-1].parts == (TextPart("Hi!"),)
    assert stored.hook_state is None


async def test_stopping_the_turn_stops_the_hook() -> None:
    hook = SilentHook()
    harness = a_harness(hook=hook)
    started = await harness.send()
    await hook.has_begun.wait()

    async with asyncio.timeout(60):
        assert await harness.stop(started.ref)

    assert hook.is_cancelled
    assert (await harness.end_of(started)).outcome is Outcome.INTERRUPTED


async def test_a_shutdown_stops_the_hook() -> None:
    hook, signals = SilentHook(), FakeSignals()
    harness = a_harness(hook=hook)
    conversation = with_question(a_conversation())
    await harness.store.create(OWNER, conversation)
    running = asyncio.create_task(harness.run_turn(conversation, signals))
    await hook.has_begun.wait()

    signals.shutting_down = True
    signals.wake()
    async with asyncio.timeout(60):
        await running

    assert hook.is_cancelled
    assert "turn.interrupted" in harness.telemetry.events


class OneMinute(TickingSignals):
    """Signals of a process that shuts down after a minute."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self._until = clock.monotonic() + timedelta(minutes=1)

    async def wait(self, at_most: timedelta) -> None:
        await super().wait(at_most)
        self.shutting_down = self._clock.monotonic() >= self._until


@pytest.mark.parametrize(("hook", "is_dropped"), [(SilentHook(), False), (ScriptedHook(), True)])
async def test_a_summary_is_dropped_for_a_slow_model_but_not_for_a_slow_hook(
    hook: TurnHook, *, is_dropped: bool
) -> None:
    dropped: list[object] = []

    class Attempts(FoldAttempts):
        def give_way(self, *call: Any) -> None:
            dropped.append(call)

    clock = ManualClock()
    harness = a_harness(FakeModel(), hook=hook, clock=clock)
    harness.container.register(FoldAttempts, instance=Attempts())
    conversation = with_question(a_conversation())
    await harness.store.create(OWNER, conversation)

    await harness.run_turn(conversation, OneMinute(clock))

    assert bool(dropped) is is_dropped


async def test_each_question_says_what_the_turn_is_for() -> None:
    hook = ScriptedHook()
    harness = a_harness(hook=hook)
    started = await harness.send("Hello?")
    await harness.end_of(started)
    session_id = started.conversation.id

    again = await harness.regenerate(
        OWNER, RegenerateRequest(session_id=session_id, message_id=None, payer=PAYER)
    )
    await harness.end_of(again)
    other = await harness.send("Another conversation?")
    await harness.end_of(other)

    first, second, third = hook.questions
    assert (first.kind, second.kind) == (TurnKind.MESSAGE, TurnKind.REGENERATE)
    assert (first.message, second.message) == ("Hello?", "Hello?")
    assert first.turn_id == started.turn.id != second.turn_id
    assert first.conversation == second.conversation != third.conversation
    assert session_id not in str(first)


async def test_a_reply_that_is_not_stored_is_prepared_too() -> None:
    model = InstantModel("Hi!")
    hook = ScriptedHook(Preparation(instructions="Be kind."), HookUnavailable())
    harness = a_harness(model, hook=hook)

    assert await ephemeral_end(harness) == (Outcome.FINISHED, None)
    assert await ephemeral_end(harness) == (Outcome.FAILED, "hook_unavailable")
    assert model.prompts[0].system.endswith("Be kind.")
    assert [question.message for question in hook.questions] == ["Hello?", "Hello?"]


async def ephemeral_end(harness: Harness) -> tuple[Outcome, str | None]:
    item = InputItem(role=Role.USER, parts=(TextPart("Hello?"),))
    request = ResponseRequest(inputs=(item,), payer=PAYER)
    reply = harness.container.resolve(EphemeralReply)
    batches = await reply.start(await reply.prepare(OWNER, request), request, WHEN_IT_COMES)
    async with asyncio.timeout(10):
        *_, last = [batch async for batch in batches]
    assert last.end is not None
    return last.end.outcome, last.end.error


async def test_a_reply_stays_within_the_hooks_bound() -> None:
    model = InstantModel("Hi!")
    answer = Preparation(options=ReplyOptions(reply_tokens=10))
    harness = a_harness(model, hook=ScriptedHook(answer))

    await harness.end_of(await harness.send())

    assert model.prompts[0].reply_tokens == 10


async def test_the_model_has_begun_only_after_the_hook() -> None:
    order: list[str] = []

    class Model:
        name = "ordered"

        async def reply(self, _: Prompt) -> AsyncGenerator[ModelPiece | ModelFinished, None]:
            order.append("model")
            yield TextPiece("Hi!")
            yield ModelFinished(reason=FinishReason.STOP)

    def answer(_: Question) -> Preparation:
        order.append("hook")
        return Preparation()

    harness = a_harness(Model(), hook=ComputingHook(answer))
    await harness.end_of(await harness.send())

    assert order == ["hook", "model"]
