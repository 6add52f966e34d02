"""The adapters that the contract suites test. A new adapter needs one entry here."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Final, TypeAlias

from attrs import frozen

from adapters.encrypted_redis.process_lease import RedisProcessLease
from adapters.encrypted_redis.rate_limiter import RedisRateLimiter
from adapters.encrypted_redis.readiness import RedisReadiness
from adapters.in_memory.conversation_store import InMemoryConversationStore
from adapters.in_memory.process_lease import InMemoryProcessLease
from adapters.in_memory.rate_limiter import InMemoryRateLimiter
from adapters.in_memory.readiness import InMemoryReadiness
from adapters.in_memory.turn_log import InMemoryTurnLog
from adapters.language_model.model_server import open_connection
from adapters.language_model.model_window import ServerWindow
from adapters.language_model.scripted import ScriptedModel
from adapters.observability.grouped_events import GroupedEvents
from adapters.observability.structured_log import StructuredLog
from adapters.sealing.client_keys import SealedClientKeys
from adapters.sealing.key_ring import KeyRing
from adapters.system.clock import SystemClock
from adapters.system.identifier_source import RandomIdentifiers
from adapters.system.turn_runner import TaskTurnRunner
from domain.model.preparation import Preparation
from domain.model.rate_limits import Limit
from ports.client_keys import ClientKeys
from ports.clock import Clock
from ports.context_window import ContextWindow
from ports.conversation_store import ConversationStateStore
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
from tests.support.builders import PROCESS
from tests.support.clocks import HastyClock, ManualClock, ShiftedClock
from tests.support.hook_server import Planned, answer_of, fake_hook, hook_at
from tests.support.mcp_server import a_server, odd_tool_server, official_server, opened
from tests.support.model_client import a_model_server, model_at
from tests.support.model_server import ModelResponse, a_reply, model_server
from tests.support.odd_model_servers import odd_model_server
from tests.support.redis_kinds import OpenServer, available
from tests.support.redis_store import age_limits, redis_harness
from tests.support.scripted_hook import ComputingHook, SilentHook
from tests.support.tool_servers import ScriptedToolServers, a_server_tool

PassTime: TypeAlias = Callable[[timedelta], Awaitable[None]]


@frozen(kw_only=True)
class StoreHarness:
    """An empty store, its logs, and a way to let time pass for them."""

    store: ConversationStateStore
    log: TurnLog
    pass_time: PassTime


@asynccontextmanager
async def in_memory() -> AsyncIterator[StoreHarness]:
    clock = ManualClock()
    log = InMemoryTurnLog(clock=clock)

    async def pass_time(duration: timedelta) -> None:
        clock.advance(duration)

    yield StoreHarness(
        store=InMemoryConversationStore(clock=clock, log=log), log=log, pass_time=pass_time
    )


def in_redis(
    open_server: Callable[[], OpenServer],
) -> Callable[[], AbstractAsyncContextManager[StoreHarness]]:
    """A store on a real server, which is emptied first, because tests share it."""

    @asynccontextmanager
    async def harness() -> AsyncIterator[StoreHarness]:
        clock = ShiftedClock()
        async with (
            open_server() as address,
            redis_harness(address.url, clock=clock, ca_file=address.ca_file) as redis,
        ):
            await redis.redis.flushdb()

            async def pass_time(duration: timedelta) -> None:
                clock.advance(duration)
                await redis.pass_time(duration)

            yield StoreHarness(store=redis.store, log=redis.log, pass_time=pass_time)

    return harness


STORES: Final[Mapping[str, Callable[[], AbstractAsyncContextManager[StoreHarness]]]] = {
    "memory": in_memory,
    **{name: in_redis(server) for name, server in available().items()},
}


@frozen(kw_only=True)
class Limited:
    """A limiter, and a way to let time pass for it."""

    limiter: RateLimiter
    pass_time: PassTime


OpenLimiter: TypeAlias = Callable[[Sequence[Limit]], AbstractAsyncContextManager[Limited]]


@asynccontextmanager
async def in_memory_limiter(limits: Sequence[Limit]) -> AsyncIterator[Limited]:
    clock = ManualClock()

    async def pass_time(duration: timedelta) -> None:
        clock.advance(duration)

    yield Limited(limiter=InMemoryRateLimiter(clock=clock, limits=limits), pass_time=pass_time)


def redis_limiter(open_server: Callable[[], OpenServer]) -> OpenLimiter:
    @asynccontextmanager
    async def opened(limits: Sequence[Limit]) -> AsyncIterator[Limited]:
        async with (
            open_server() as server,
            redis_harness(server.url, ca_file=server.ca_file) as redis,
        ):
            await redis.redis.flushdb()
            limiter = RedisRateLimiter(client=redis.client, limits=limits)
            yield Limited(limiter=limiter, pass_time=partial(age_limits, redis.redis))

    return opened


def sealed_client_keys() -> ClientKeys:
    return SealedClientKeys(ring=KeyRing.random(os.urandom), random_bytes=os.urandom)


@asynccontextmanager
async def scripted() -> AsyncIterator[LanguageModel]:
    yield ScriptedModel(clock=HastyClock(), pause=timedelta(milliseconds=40))


@asynccontextmanager
async def over_http() -> AsyncIterator[LanguageModel]:
    async with (
        model_server(*[a_reply("Hello", " there")] * 4) as server,
        model_at(server.url) as model,
    ):
        yield model


@asynccontextmanager
async def window_over_http() -> AsyncIterator[ContextWindow]:
    body = b'{"data": [{"id": "small-1", "max_model_len": 4096}]}'
    async with odd_model_server({"/v1/models": ModelResponse(chunks=(body,))}) as server:
        model = a_model_server(f"{server.origin}/v1")
        async with open_connection(model) as connection:
            yield ServerWindow(connection, model)


@asynccontextmanager
async def window_out_of_reach() -> AsyncIterator[ContextWindow]:
    model = a_model_server("http://127.0.0.1:1/v1")
    async with open_connection(model) as connection:
        yield ServerWindow(connection, model)


def ready_redis(
    open_server: Callable[[], OpenServer],
) -> Callable[[], AbstractAsyncContextManager[Readiness]]:
    @asynccontextmanager
    async def answering() -> AsyncIterator[Readiness]:
        async with (
            open_server() as server,
            redis_harness(server.url, ca_file=server.ca_file) as redis,
        ):
            yield RedisReadiness(redis.client, SystemClock())

    return answering


@asynccontextmanager
async def ready_memory() -> AsyncIterator[Readiness]:
    yield InMemoryReadiness()


Renew: TypeAlias = Callable[[int], Awaitable[None]]


@frozen(kw_only=True)
class Leased:
    """The lease of the process ``PROCESS``, and a way to renew it a number of times."""

    lease: ProcessLease
    renew: Renew


def leased_in_redis(
    open_server: Callable[[], OpenServer],
) -> Callable[[], AbstractAsyncContextManager[Leased]]:
    @asynccontextmanager
    async def leased() -> AsyncIterator[Leased]:
        clock = ManualClock()
        lease = RedisProcessLease(PROCESS, clock)

        async with (
            open_server() as server,
            redis_harness(server.url, ca_file=server.ca_file) as redis,
        ):

            async def renew(times: int) -> None:
                for _ in range(times):
                    clock.advance(timedelta(seconds=1))
                    await lease.renew(redis.connection.call)

            await redis.redis.flushdb()
            yield Leased(lease=lease, renew=renew)

    return leased


@asynccontextmanager
async def leased_in_memory() -> AsyncIterator[Leased]:
    async def renew(_: int) -> None:
        """Memory is never away, so nothing has to be renewed."""

    yield Leased(lease=InMemoryProcessLease(PROCESS), renew=renew)


@asynccontextmanager
async def scripted_tools() -> AsyncIterator[ToolServers]:
    yield ScriptedToolServers(a_server_tool(may_repeat=True), a_server_tool("wait"))


@asynccontextmanager
async def official_tools(*, json_response: bool = False) -> AsyncIterator[ToolServers]:
    async with (
        official_server(json_response=json_response) as server,
        opened(a_server(server.url, allowed=frozenset({"search", "wait"}))) as tool_servers,
    ):
        yield tool_servers.adapter


@asynccontextmanager
async def tools_after_a_handshake() -> AsyncIterator[ToolServers]:
    async with odd_tool_server() as server, opened(a_server(server.url)) as tool_servers:
        yield tool_servers.adapter


def task_runner(max_turns: int) -> TurnRunner:
    return TaskTurnRunner(max_turns=max_turns, telemetry=StructuredLog(str.upper))


OpenHook: TypeAlias = Callable[[Preparation | None], AbstractAsyncContextManager[TurnHook]]
"""A hook that gives this answer to each question; None: it never answers."""


@asynccontextmanager
async def scripted_hook(answer: Preparation | None) -> AsyncIterator[TurnHook]:
    yield SilentHook() if answer is None else ComputingHook(lambda _: answer)


@asynccontextmanager
async def hook_over_http(answer: Preparation | None) -> AsyncIterator[TurnHook]:
    planned = Planned(hangs=True) if answer is None else answer_of(answer)
    async with fake_hook(*[planned] * 10) as server, hook_at(server.url) as hook:
        yield hook


LIMITERS: Final[Mapping[str, OpenLimiter]] = {
    "memory": in_memory_limiter,
    **{name: redis_limiter(server) for name, server in available().items()},
}
CLIENT_KEYS: Final[Mapping[str, Callable[[], ClientKeys]]] = {"sealed": sealed_client_keys}
CLOCKS: Final[Mapping[str, Callable[[], Clock]]] = {"system": SystemClock, "hasty": HastyClock}
HOOKS: Final[Mapping[str, OpenHook]] = {
    "scripted": scripted_hook,
    "http": hook_over_http,
}
IDENTIFIERS: Final[Mapping[str, Callable[[], IdentifierSource]]] = {"random": RandomIdentifiers}
MODELS: Final[Mapping[str, Callable[[], AbstractAsyncContextManager[LanguageModel]]]] = {
    "scripted": scripted,
    "http": over_http,
}
WINDOWS: Final[Mapping[str, Callable[[], AbstractAsyncContextManager[ContextWindow]]]] = {
    "http": window_over_http,
    "out of reach": window_out_of_reach,
}
TOOL_SERVERS: Final[Mapping[str, Callable[[], AbstractAsyncContextManager[ToolServers]]]] = {
    "scripted": scripted_tools,
    "mcp": official_tools,
    "mcp with json": partial(official_tools, json_response=True),
    "mcp with a handshake": tools_after_a_handshake,
}
TELEMETRY: Final[Mapping[str, Callable[[], Telemetry]]] = {
    "log": lambda: StructuredLog(_hidden),
    "grouped": lambda: GroupedEvents(StructuredLog(_hidden), SystemClock()),
}
READY: Final[Mapping[str, Callable[[], AbstractAsyncContextManager[Readiness]]]] = {
    "memory": ready_memory,
    **{name: ready_redis(server) for name, server in available().items()},
}
LEASES: Final[Mapping[str, Callable[[], AbstractAsyncContextManager[Leased]]]] = {
    "memory": leased_in_memory,
    **{name: leased_in_redis(server) for name, server in available().items()},
}
RUNNERS: Final[Mapping[str, Callable[[int], TurnRunner]]] = {"tasks": task_runner}


def _hidden(name: str) -> str:
    return f"{len(name)} characters"
