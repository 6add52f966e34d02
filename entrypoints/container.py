"""The container: opens the adapters, registers each under its port, and wires the use cases.

Unless an instance is registered, punq creates a new object for each use. So every adapter is
registered as an instance. punq does not check instances against protocols. So each adapter is first
assigned to a variable of its port's type, where mypy checks it.
"""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from importlib.metadata import version
from typing import Final

import attrs
import punq
from attrs import frozen

from adapters.assistant_profile.toml_file import load_assistant
from adapters.encrypted_redis.connecting import RedisAddress, Report, open_redis
from adapters.encrypted_redis.conversation_store import RedisConversationStore
from adapters.encrypted_redis.diagnostics import server_findings
from adapters.encrypted_redis.process_lease import RedisProcessLease
from adapters.encrypted_redis.rate_limiter import RedisRateLimiter
from adapters.encrypted_redis.readiness import RedisReadiness
from adapters.encrypted_redis.redis_client import RedisClient
from adapters.encrypted_redis.turn_log import Batching, RedisTurnLog
from adapters.in_memory.conversation_store import InMemoryConversationStore
from adapters.in_memory.process_lease import InMemoryProcessLease
from adapters.in_memory.rate_limiter import InMemoryRateLimiter
from adapters.in_memory.readiness import InMemoryReadiness
from adapters.in_memory.turn_log import InMemoryTurnLog
from adapters.language_model.chat_completions import ChatCompletions
from adapters.language_model.model_server import ModelServer, Timeouts, open_connection
from adapters.language_model.model_window import ServerWindow
from adapters.language_model.scripted import ScriptedModel
from adapters.observability.grouped_events import GroupedEvents
from adapters.observability.structured_log import StructuredLog
from adapters.sealing.client_keys import SealedClientKeys
from adapters.sealing.key_ring import KeyRing
from adapters.sealing.sealer import Sealer
from adapters.system.clock import SystemClock
from adapters.system.identifier_source import RandomIdentifiers
from adapters.system.turn_runner import TaskTurnRunner
from adapters.tool_servers.opening import open_tool_servers
from adapters.turn_hook.hook_server import HookServer
from adapters.turn_hook.no_hook import NoHook
from domain.model.assistant import Assistant
from domain.model.budget import BudgetBounds
from domain.model.identifiers import ProcessId
from domain.model.limits import MessageLimit
from domain.model.turn import TurnPolicy
from domain.service.summarizing import SummaryPolicy
from domain.service.user_images import ImagePolicy
from entrypoints.http.openai.services import OpenAIServices
from entrypoints.http.services import Services
from entrypoints.settings import Settings, Storage
from entrypoints.usecases.dead_turns import MissingLogs
from entrypoints.usecases.fold_summary import FoldAttempts
from entrypoints.usecases.prompt_budget import PromptBudget
from ports.client_keys import ClientKeys
from ports.clock import Clock
from ports.context_window import ContextWindow
from ports.conversation_store import ConversationStateStore
from ports.findings import Level
from ports.identifier_source import IdentifierSource
from ports.language_model import LanguageModel
from ports.process_lease import ProcessLease
from ports.rate_limiter import RateLimiter
from ports.readiness import Readiness
from ports.telemetry import Telemetry
from ports.tool_servers import ToolServers
from ports.turn_hook import TurnHook
from ports.turn_log import TurnLog
from ports.turn_runner import TurnRunner

_WORD_PAUSE: Final = timedelta(milliseconds=40)
"""The pause of the scripted model between two words."""


def _use_cases_of(*kinds: type) -> set[type]:
    """The use cases in the annotations of ``kinds``, and all use cases that those need."""
    fields = [field.type for kind in kinds for field in attrs.fields(kind)]
    parts = [kind for kind in fields if kind is not None and attrs.has(kind)]
    if not parts:
        return set()
    used = {kind for kind in parts if kind.__module__.startswith("entrypoints.usecases.")}
    return used | _use_cases_of(*parts)


USE_CASES: Final = tuple(
    sorted(_use_cases_of(Services, OpenAIServices), key=lambda use_case: use_case.__name__)
)
"""Every use case that a route needs, directly or through another use case."""


@asynccontextmanager
async def open_container(
    settings: Settings, *, report: Report = lambda _: None
) -> AsyncIterator[punq.Container]:
    """The container with every adapter open; on exit they are closed in reverse order.

    Raises:
        KeyRingProblem, ProfileProblem, ServerProblem, RedisUnreachable: the operator has to
            fix something. The message contains no key or password.
    """
    container = punq.Container()
    ring = KeyRing.parse(settings.keys) if settings.keys else KeyRing.random(os.urandom)
    keys: ClientKeys = SealedClientKeys(ring=ring, random_bytes=os.urandom)
    clock: Clock = SystemClock()
    grouped = GroupedEvents(StructuredLog(keys.pseudonym), clock)
    telemetry: Telemetry = grouped
    identifiers: IdentifierSource = RandomIdentifiers()
    runner = TaskTurnRunner(max_turns=settings.max_turns, telemetry=telemetry)
    turn_runner: TurnRunner = runner
    container.register(ClientKeys, instance=keys)
    container.register(Clock, instance=clock)
    container.register(Telemetry, instance=telemetry)
    container.register(IdentifierSource, instance=identifiers)
    container.register(TurnRunner, instance=turn_runner)
    container.register(TaskTurnRunner, instance=runner)
    _register_values(container, settings)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(grouped.running())
        storage = await _open_storage(
            stack,
            settings,
            identifiers.process_id(),
            ring=ring,
            clock=clock,
            telemetry=telemetry,
            report=report,
        )
        _register_storage(container, storage)
        await _register_model(container, stack, settings, clock=clock, telemetry=telemetry)
        turn_hook: TurnHook = await _open_hook(stack, settings, clock)
        container.register(TurnHook, instance=turn_hook)
        await _register_tool_servers(container, stack)
        with _lifetime(telemetry, clock, settings):
            yield container


@contextmanager
def _lifetime(telemetry: Telemetry, clock: Clock, settings: Settings) -> Iterator[None]:
    """Log when the service starts and when it stops."""
    started_at = clock.monotonic()
    telemetry.emit(
        "service.started",
        version=version("privity"),
        storage=settings.storage.value,
        model=settings.model_name,
    )
    yield
    seconds = round((clock.monotonic() - started_at).total_seconds())
    telemetry.emit("service.stopped", seconds=seconds)


def redis_address(settings: Settings) -> RedisAddress:
    """The address and certificates of Redis in ``settings``."""
    return RedisAddress(
        url=settings.redis_url or "",
        ca_file=settings.redis_ca_file,
        client_cert=settings.redis_client_cert,
        client_key=settings.redis_client_key,
    )


def model_server(settings: Settings) -> ModelServer | None:
    """The model's server in ``settings``; None if replies come from the built-in script."""
    if settings.model_base_url is None or settings.model_name is None:
        return None
    return ModelServer(
        base_url=settings.model_base_url,
        name=settings.model_name,
        timeouts=Timeouts(
            connect=settings.model_connect_timeout,
            first_piece=settings.model_first_piece_timeout,
            silence=settings.model_silence_timeout,
        ),
        api_key=settings.model_api_key,
        ca_file=settings.model_ca_file,
        options=settings.request_options,
    )


def hook_server(settings: Settings) -> HookServer | None:
    """The hook in ``settings``; None if there is none."""
    if settings.hook_url is None:
        return None
    return HookServer(
        url=settings.hook_url,
        keys=settings.hook_keys,
        connect_timeout=settings.hook_connect_timeout,
        timeout=settings.hook_timeout,
        ca_file=settings.hook_ca_file,
    )


def _register_values(container: punq.Container, settings: Settings) -> None:
    """Register what needs no connection: the use cases, and the values that they share."""
    for value in _shared_values(settings):
        container.register(type(value), instance=value)
    for use_case in USE_CASES:
        container.register(use_case)


def _shared_values(settings: Settings) -> Iterator[object]:
    """What several use cases and routes share: the values that they decide by, and a memory."""
    yield load_assistant(settings.assistant_file)
    yield TurnPolicy()
    yield MissingLogs()
    yield FoldAttempts()
    yield settings.hook_policy
    yield SummaryPolicy(enabled=settings.summaries)
    yield MessageLimit(characters=settings.message_characters)
    yield ImagePolicy(model_takes_images=settings.model_images)


@frozen(kw_only=True)
class _Storage:
    """The adapters that store conversations, the logs of turns, leases, and what callers use."""

    store: ConversationStateStore
    log: TurnLog
    lease: ProcessLease
    readiness: Readiness
    limiter: RateLimiter


def _register_storage(container: punq.Container, storage: _Storage) -> None:
    container.register(ConversationStateStore, instance=storage.store)
    container.register(TurnLog, instance=storage.log)
    container.register(ProcessLease, instance=storage.lease)
    container.register(Readiness, instance=storage.readiness)
    container.register(RateLimiter, instance=storage.limiter)


async def _open_storage(
    stack: AsyncExitStack,
    settings: Settings,
    process: ProcessId,
    *,
    ring: KeyRing,
    clock: Clock,
    telemetry: Telemetry,
    report: Report,
) -> _Storage:
    """The storage that ``settings`` select; ``stack`` closes it.

    Raises:
        RedisUnreachable: Redis does not answer, or rejects the credentials.
    """
    if settings.storage is Storage.MEMORY:
        return _in_memory_storage(clock, process, settings)
    lease = RedisProcessLease(process, clock)
    client = await stack.enter_async_context(
        open_redis(
            redis_address(settings),
            clock=clock,
            telemetry=telemetry,
            check=lease.renew,
            report=report,
        )
    )
    await _emit_server_findings(client, telemetry)
    sealer = Sealer(ring=ring, random_bytes=os.urandom)
    log = RedisTurnLog(client=client, sealer=sealer, clock=clock, batching=Batching())
    store = RedisConversationStore(client=client, sealer=sealer, log=log, clock=clock)
    return _Storage(
        store=store,
        log=log,
        lease=lease,
        readiness=RedisReadiness(client, clock),
        limiter=RedisRateLimiter(client=client, limits=settings.limit_table),
    )


def _in_memory_storage(clock: Clock, process: ProcessId, settings: Settings) -> _Storage:
    log = InMemoryTurnLog(clock=clock)
    return _Storage(
        store=InMemoryConversationStore(clock=clock, log=log),
        log=log,
        lease=InMemoryProcessLease(process),
        readiness=InMemoryReadiness(),
        limiter=InMemoryRateLimiter(clock=clock, limits=settings.limit_table),
    )


async def _emit_server_findings(client: RedisClient, telemetry: Telemetry) -> None:
    """Log unsuitable settings of Redis. Whether to change them is the operator's decision."""
    for finding in await server_findings(client):
        if finding.level in (Level.WARNING, Level.PROBLEM):
            telemetry.emit(
                "redis.setting",
                topic=finding.topic,
                finding=finding.level.value,
                found=finding.text,
                advice=finding.advice or None,
            )


async def _register_model(
    container: punq.Container,
    stack: AsyncExitStack,
    settings: Settings,
    *,
    clock: Clock,
    telemetry: Telemetry,
) -> None:
    """Open the model that ``settings`` select, and learn its context window."""
    model, window = await _open_model(stack, settings, clock, telemetry)
    assistant: Assistant = container.resolve(Assistant)
    bounds = BudgetBounds(
        reply_tokens=settings.model_reply_tokens,
        window=settings.model_context_tokens,
        prompt_tokens=assistant.memory.prompt_tokens,
    )
    budget = PromptBudget(bounds, clock=clock, telemetry=telemetry, window=window)
    await stack.enter_async_context(budget.asking(at_once=settings.model_check))
    container.register(LanguageModel, instance=model)
    container.register(PromptBudget, instance=budget)


async def _open_hook(stack: AsyncExitStack, settings: Settings, clock: Clock) -> TurnHook:
    """The hook that ``settings`` select; ``stack`` closes it."""
    server = hook_server(settings)
    if server is None:
        return NoHook()
    # Imported here because most services have no hook.
    from adapters.turn_hook.http_hook import open_hook  # noqa: PLC0415 - see above

    return await stack.enter_async_context(open_hook(server, clock))


async def _register_tool_servers(container: punq.Container, stack: AsyncExitStack) -> None:
    """Open the tool servers of the assistant's file.

    Raises:
        ServerProblem: they cannot be used at all.
    """
    assistant: Assistant = container.resolve(Assistant)
    opening = open_tool_servers(
        assistant.tools, clock=container.resolve(Clock), telemetry=container.resolve(Telemetry)
    )
    tool_servers: ToolServers = await stack.enter_async_context(opening)
    container.register(ToolServers, instance=tool_servers)


async def _open_model(
    stack: AsyncExitStack, settings: Settings, clock: Clock, telemetry: Telemetry
) -> tuple[LanguageModel, ContextWindow | None]:
    """The model that ``settings`` select, and its context window if a server can be asked."""
    server = model_server(settings)
    if server is None:
        return ScriptedModel(clock=clock, pause=_WORD_PAUSE), None
    connection = await stack.enter_async_context(open_connection(server))
    model: LanguageModel = ChatCompletions(
        connection=connection, server=server, clock=clock, telemetry=telemetry
    )
    window: ContextWindow = ServerWindow(connection, server)
    return model, window
