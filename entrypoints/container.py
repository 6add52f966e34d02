"""Everything put together: adapters opened in order, use cases wired by punq.

punq's default scope is transient, so every opened adapter is registered as an instance; it does not
check instances against protocols, so each is named with its port's type first and mypy tells.

Which adapters keep conversations: opened by the settings, closed with the stack.
"""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Final

import punq
from attrs import frozen

from adapters.assistant_profile.toml_file import load_assistant
from adapters.encrypted_redis.connecting import RedisAddress, open_redis
from adapters.encrypted_redis.conversation_store import RedisConversationStore
from adapters.encrypted_redis.diagnostics import Level, server_findings
from adapters.encrypted_redis.readiness import RedisReadiness
from adapters.encrypted_redis.redis_client import RedisClient
from adapters.encrypted_redis.turn_log import Batching, RedisTurnLog
from adapters.in_memory.conversation_store import InMemoryConversationStore
from adapters.in_memory.rate_limiter import InMemoryRateLimiter
from adapters.in_memory.readiness import InMemoryReadiness
from adapters.in_memory.turn_log import InMemoryTurnLog
from adapters.language_model.chat_completions import Timeouts, open_chat_completions
from adapters.language_model.scripted import ScriptedModel
from adapters.observability.structured_log import StructuredLog
from adapters.sealing.client_keys import SealedClientKeys
from adapters.sealing.key_ring import KeyRing
from adapters.sealing.sealer import Sealer
from adapters.system.clock import SystemClock
from adapters.system.identifier_source import RandomIdentifiers
from adapters.system.turn_runner import TaskTurnRunner
from domain.model.turn import TurnPolicy
from domain.service.prompt_building import Budget
from entrypoints.settings import Settings, Storage
from entrypoints.usecases.conversations import (
    CreateSession,
    FindConversation,
    ForgetConversation,
    ReadHistory,
)
from entrypoints.usecases.create_response import CreateResponse
from entrypoints.usecases.edit_items import CreateConversation, EditItems
from entrypoints.usecases.ephemeral_reply import EphemeralReply
from entrypoints.usecases.follow_turn import FollowTurn, MissingLogs, TurnWatch
from entrypoints.usecases.open_turn import AbandonTurn, OpenTurn, StartTurn
from entrypoints.usecases.regenerate import Regenerate
from entrypoints.usecases.run_turn import RunTurn, SaveReply
from entrypoints.usecases.send_message import SendMessage
from entrypoints.usecases.stop_turn import StopTurn
from entrypoints.usecases.submit_tool_results import SubmitToolResults
from ports.assistant_profile import AssistantProfile
from ports.client_keys import ClientKeys
from ports.clock import Clock
from ports.conversation_store import ConversationStateStore
from ports.identifier_source import IdentifierSource
from ports.language_model import LanguageModel
from ports.rate_limiter import Quota, RateLimiter
from ports.readiness import Readiness
from ports.telemetry import Telemetry
from ports.turn_log import TurnLog
from ports.turn_runner import TurnRunner


@frozen(kw_only=True)
class OpenedStorage:
    """What keeps conversations."""

    store: ConversationStateStore
    log: TurnLog
    readiness: Readiness


async def opened_storage(
    stack: AsyncExitStack, settings: Settings, ring: KeyRing, clock: Clock, telemetry: Telemetry
) -> OpenedStorage:
    """The adapters, open until ``stack`` closes them.

    Raises:
        RedisUnreachable: Redis does not answer, or does not let us in.
    """
    if settings.storage is Storage.MEMORY:
        return _in_memory(clock)
    place = redis_place(settings)
    commands = await stack.enter_async_context(open_redis(place, clock=clock, telemetry=telemetry))
    await _compared(commands, telemetry)
    sealer = Sealer(ring=ring, random_bytes=os.urandom)
    log = RedisTurnLog(commands=commands, sealer=sealer, clock=clock, batching=Batching())
    store = RedisConversationStore(commands=commands, sealer=sealer, log=log, clock=clock)
    return OpenedStorage(store=store, log=log, readiness=RedisReadiness(commands))


async def _compared(commands: RedisClient, telemetry: Telemetry) -> None:
    """Note what of the server is not as conversations need it; it is the operator's to decide."""
    for finding in await server_findings(commands):
        if finding.level is not Level.GOOD:
            telemetry.emit("redis.setting", topic=finding.topic, found=finding.text)


def redis_place(settings: Settings) -> RedisAddress:
    """Where Redis is by the settings."""
    return RedisAddress(
        url=settings.redis_url or "",
        ca_file=settings.redis_ca_file,
        client_cert=settings.redis_client_cert,
        client_key=settings.redis_client_key,
    )


def _in_memory(clock: Clock) -> OpenedStorage:
    log = InMemoryTurnLog(clock=clock)
    store = InMemoryConversationStore(clock=clock, log=log)
    return OpenedStorage(store=store, log=log, readiness=InMemoryReadiness())


USE_CASES: Final = (
    AbandonTurn,
    Regenerate,
    SubmitToolResults,
    FindConversation,
    CreateConversation,
    EditItems,
    FollowTurn,
    ForgetConversation,
    RunTurn,
    CreateSession,
    OpenTurn,
    CreateResponse,
    ReadHistory,
    EphemeralReply,
    SaveReply,
    SendMessage,
    StartTurn,
    StopTurn,
    TurnWatch,
)
_WORD_PAUSE: Final = timedelta(milliseconds=40)


@asynccontextmanager
async def opened_container(settings: Settings) -> AsyncIterator[punq.Container]:
    """The container with every adapter open; they are closed in reverse order at the end.

    Raises:
        KeyRingProblem, ProfileProblem, RedisUnreachable: what the operator has to fix. No message
            contains a key or password.
    """
    container = punq.Container()
    ring = KeyRing.parse(settings.keys) if settings.keys else KeyRing.random(os.urandom)
    keys: ClientKeys = SealedClientKeys(ring=ring, random_bytes=os.urandom)
    clock: Clock = SystemClock()
    telemetry: Telemetry = StructuredLog(keys.pseudonym)
    profile: AssistantProfile = load_assistant(settings.assistant_file)
    identifiers: IdentifierSource = RandomIdentifiers()
    runner = TaskTurnRunner(max_turns=settings.max_turns, telemetry=telemetry)
    turn_runner: TurnRunner = runner
    container.register(ClientKeys, instance=keys)
    container.register(Clock, instance=clock)
    container.register(Telemetry, instance=telemetry)
    container.register(AssistantProfile, instance=profile)
    container.register(IdentifierSource, instance=identifiers)
    container.register(TurnRunner, instance=turn_runner)
    container.register(TaskTurnRunner, instance=runner)
    container.register(TurnPolicy, instance=TurnPolicy())
    container.register(MissingLogs, instance=MissingLogs())
    container.register(Budget, instance=_budget(settings))
    for use_case in USE_CASES:
        container.register(use_case)
    _register_limiter(container, settings, clock, keys)
    async with AsyncExitStack() as stack:
        storage = await opened_storage(stack, settings, ring, clock, telemetry)
        container.register(ConversationStateStore, instance=storage.store)
        container.register(TurnLog, instance=storage.log)
        container.register(Readiness, instance=storage.readiness)
        model = await _opened_model(stack, settings, clock)
        container.register(LanguageModel, instance=model)
        yield container


def _budget(settings: Settings) -> Budget:
    return Budget(tokens=settings.model_context_tokens, reply_tokens=settings.model_reply_tokens)


def _register_limiter(
    container: punq.Container, settings: Settings, clock: Clock, keys: ClientKeys
) -> None:
    amounts = {Quota.NEW: settings.new_per_hour, Quota.STORED: settings.stored_bytes_per_hour}
    limiter: RateLimiter = InMemoryRateLimiter(
        clock=clock, per_hour=amounts, pseudonym=keys.pseudonym
    )
    container.register(RateLimiter, instance=limiter)


async def _opened_model(stack: AsyncExitStack, settings: Settings, clock: Clock) -> LanguageModel:
    if settings.model_base_url is None or settings.model_name is None:
        return ScriptedModel(clock=clock, pause=_WORD_PAUSE)
    return await stack.enter_async_context(
        open_chat_completions(
            base_url=settings.model_base_url,
            api_key=settings.model_api_key,
            model=settings.model_name,
            timeouts=Timeouts(
                connect=settings.model_connect_timeout,
                first_piece=settings.model_first_piece_timeout,
                silence=settings.model_silence_timeout,
            ),
            clock=clock,
        )
    )
