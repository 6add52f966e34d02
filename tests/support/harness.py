"""The use cases over the in-memory adapters, wired as the container wires them."""

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypedDict, Unpack

import punq
from attrs import frozen

from adapters.assistant_profile.toml_file import load_assistant
from adapters.in_memory.conversation_store import InMemoryConversationStore
from adapters.in_memory.process_lease import InMemoryProcessLease
from adapters.in_memory.rate_limiter import InMemoryRateLimiter
from adapters.in_memory.turn_log import InMemoryTurnLog
from adapters.sealing.client_keys import SealedClientKeys
from adapters.sealing.key_ring import KeyRing
from adapters.system.identifier_source import RandomIdentifiers
from adapters.system.turn_runner import TaskTurnRunner
from adapters.tool_servers.opening import NoToolServers
from adapters.turn_hook.no_hook import NoHook
from domain.model.assistant import Assistant
from domain.model.budget import Budget, BudgetBounds
from domain.model.conversation import Conversation
from domain.model.identifiers import ConversationRef, ProcessId, SessionId
from domain.model.message import TextPart
from domain.model.preparation import HookPolicy
from domain.model.rate_limits import Limit, Payer
from domain.model.turn import TurnEnd, TurnPolicy
from domain.service.summarizing import SummaryPolicy
from domain.service.user_images import ImagePolicy
from entrypoints.container import USE_CASES
from entrypoints.usecases.conversations import CreateSession, ForgetConversation, ReadHistory
from entrypoints.usecases.dead_turns import MissingLogs
from entrypoints.usecases.fold_summary import FoldAttempts
from entrypoints.usecases.follow_turn import FollowTurn
from entrypoints.usecases.open_turn import OpenTurn, Started, StartTurn
from entrypoints.usecases.prompt_budget import PromptBudget
from entrypoints.usecases.regenerate import Regenerate
from entrypoints.usecases.run_turn import RunTurn
from entrypoints.usecases.send_message import NewMessage, SendMessage
from entrypoints.usecases.stop_turn import StopTurn
from ports.client_keys import ClientKeys
from ports.clock import Clock
from ports.conversation_store import ConversationStateStore
from ports.identifier_source import IdentifierSource
from ports.language_model import LanguageModel
from ports.process_lease import ProcessLease
from ports.rate_limiter import RateLimiter
from ports.telemetry import Telemetry
from ports.tool_servers import ToolServers
from ports.turn_hook import TurnHook
from ports.turn_log import Batch, TurnLog
from ports.turn_runner import TurnRunner
from tests.support.builders import OWNER, PROCESS, turn_id
from tests.support.clocks import HastyClock, ManualClock
from tests.support.fake_model import InstantModel
from tests.support.fakes import FakeSignals, FlakyStore, RecordingTelemetry

PAYER = Payer(client_key="this key", address="this address")
WHEN_IT_COMES = timedelta(seconds=10)
_GUARD_SECONDS = 10


@frozen(kw_only=True)
class Harness:
    """The wired use cases and the adapters behind them."""

    clock: ManualClock
    log: InMemoryTurnLog
    store: FlakyStore
    telemetry: RecordingTelemetry
    runner: TaskTurnRunner
    container: punq.Container

    def send(self, text: str = "Hello?", **members: Any) -> "asyncio.Task[Started]":
        """A task that sends ``text``; the test has to await it."""
        message = NewMessage(**{"parts": (TextPart(text),), "payer": PAYER, **members})
        owner = OWNER
        return asyncio.create_task(self.container.resolve(SendMessage)(owner, message))

    @property
    def lease(self) -> ProcessLease:
        lease: ProcessLease = self.container.resolve(ProcessLease)
        return lease

    @property
    def regenerate(self) -> Regenerate:
        return self.container.resolve(Regenerate)

    @property
    def follow(self) -> FollowTurn:
        return self.container.resolve(FollowTurn)

    @property
    def forget(self) -> ForgetConversation:
        return self.container.resolve(ForgetConversation)

    @property
    def history(self) -> ReadHistory:
        return self.container.resolve(ReadHistory)

    async def run_turn(
        self, conversation: Conversation, signals: FakeSignals | None = None
    ) -> None:
        """Run the open turn of ``conversation`` to its end."""
        start_turn = self.container.resolve(StartTurn)
        permit = start_turn.permit(PAYER, turn_id())
        await self.container.resolve(RunTurn)(OWNER, conversation, signals or FakeSignals(), permit)

    @property
    def create_session(self) -> CreateSession:
        return self.container.resolve(CreateSession)

    @property
    def open_turn(self) -> OpenTurn:
        return self.container.resolve(OpenTurn)

    @property
    def stop(self) -> StopTurn:
        return self.container.resolve(StopTurn)

    async def whole_turn(self, started: Started) -> Batch:
        """All pieces of the turn and its end, as a follower gets them."""
        whole = Batch()
        async with asyncio.timeout(_GUARD_SECONDS):
            while whole.end is None:
                more = await self.follow.read(started.turn_ref, whole.pieces, WHEN_IT_COMES)
                whole = Batch(pieces=(*whole.pieces, *more.pieces), end=more.end)
        return whole

    async def end_of(self, started: Started) -> TurnEnd:
        """How the turn ended."""
        end = (await self.whole_turn(started)).end
        assert end is not None
        return end

    async def stored(self, session_id: SessionId) -> Conversation:
        """The whole conversation as it is stored."""
        return await self.store.load(ConversationRef(OWNER, session_id))


def a_prompt_budget(budget: Budget | None, telemetry: Telemetry) -> PromptBudget:
    """One that begins with ``budget``, and has no server to ask."""
    budget = budget or Budget(tokens=8_192, reply_tokens=1_024)
    bounds = BudgetBounds(reply_tokens=budget.reply_tokens, window=budget.tokens)
    prompt_budget = PromptBudget(bounds, clock=HastyClock(), telemetry=telemetry)
    prompt_budget.current = budget
    return prompt_budget


class Pipeline(TypedDict, total=False):
    """What a harness has around the model; by default nothing."""

    assistant: Assistant
    hook: TurnHook
    hook_policy: HookPolicy
    tool_servers: ToolServers


def _instances_of(pipeline: Pipeline) -> dict[Any, object]:
    hook = pipeline.get("hook")
    return {
        Assistant: pipeline.get("assistant") or load_assistant(None),
        HookPolicy: pipeline.get("hook_policy") or HookPolicy(enabled=hook is not None),
        ToolServers: pipeline.get("tool_servers") or NoToolServers(),
        TurnHook: hook or NoHook(),
    }


def a_harness(
    model: LanguageModel | None = None,
    *,
    clock: ManualClock | None = None,
    max_turns: int = 8,
    budget: Budget | None = None,
    limits: Sequence[Limit] = (),
    summaries: bool = True,
    process: ProcessId = PROCESS,
    beside: Harness | None = None,
    **pipeline: Unpack[Pipeline],
) -> Harness:
    """A harness in which sleeping takes no time, unless ``clock`` says otherwise.

    With ``beside``, it stands for another process with the same store, log and clock.
    """
    clock = beside.clock if beside else clock or HastyClock()
    telemetry = RecordingTelemetry()
    log = beside.log if beside else InMemoryTurnLog(clock=clock)
    stored = InMemoryConversationStore(clock=clock, log=log)
    store = beside.store if beside else FlakyStore(stored, clock)
    runner = TaskTurnRunner(max_turns=max_turns, telemetry=telemetry)
    keys = SealedClientKeys(ring=KeyRing.random(os.urandom), random_bytes=os.urandom)
    instances: dict[Any, object] = {
        ClientKeys: keys,
        Clock: clock,
        ConversationStateStore: store,
        IdentifierSource: RandomIdentifiers(),
        ProcessLease: InMemoryProcessLease(process),
        LanguageModel: model or InstantModel("Hi!"),
        RateLimiter: InMemoryRateLimiter(clock=clock, limits=limits),
        Telemetry: telemetry,
        TurnLog: log,
        TurnRunner: runner,
        **_instances_of(pipeline),
    }
    for value in _shared_values(a_prompt_budget(budget, telemetry), summaries):
        instances[type(value)] = value
    container = _container_with(instances)
    return Harness(
        clock=clock, log=log, store=store, telemetry=telemetry, runner=runner, container=container
    )


def _container_with(instances: Mapping[Any, object]) -> punq.Container:
    container = punq.Container()
    for kind, instance in instances.items():
        container.register(kind, instance=instance)
    for use_case in USE_CASES:
        container.register(use_case)
    return container


def _shared_values(budget: PromptBudget, summaries: bool) -> Iterator[object]:  # noqa: FBT001 - a setting
    """What the container registers from the settings."""
    yield budget
    yield ImagePolicy(model_takes_images=True)
    yield MissingLogs()
    yield TurnPolicy()
    yield FoldAttempts()
    yield SummaryPolicy(enabled=summaries)
