"""``privity doctor``: checks the installation, and says what to do about each problem."""

import asyncio
import os
from datetime import timedelta
from typing import Annotated, Final

import typer

from adapters.assistant_profile.toml_file import load_assistant
from adapters.encrypted_redis.connecting import RedisAddress, RedisUnreachable, open_redis
from adapters.encrypted_redis.connection_causes import cause_of
from adapters.encrypted_redis.diagnostics import (
    connection_findings,
    key_findings,
    server_findings,
)
from adapters.encrypted_redis.permission_check import connecting_line, permission_findings
from adapters.encrypted_redis.redis_client import RedisClient
from adapters.encrypted_redis.trial_conversation import TrialConversation
from adapters.sealing.key_ring import KeyRing, KeyRingProblem
from adapters.system.clock import SystemClock
from adapters.system.identifier_source import RandomIdentifiers
from entrypoints.cli.findings import exit_with
from entrypoints.cli.hook_check import hook_findings
from entrypoints.cli.model_check import model_findings
from entrypoints.cli.service_checks import public_url_finding, settings_findings
from entrypoints.container import redis_address
from entrypoints.settings import Settings, SettingsProblem, Storage, read_settings, setting_warnings
from ports.clock import Clock
from ports.errors import StoreUnavailable
from ports.findings import Finding, Level

_TIMEOUT: Final = timedelta(seconds=5)
_TOOL_SERVERS: Final = "tool servers"


def doctor(
    *,
    json: Annotated[
        bool, typer.Option("--json", help="Print the findings as a JSON array.")
    ] = False,
) -> None:
    """Check the settings, Redis, the model, the hook, the tool servers and the public URL.

    Run it with the environment of the service. It stores a conversation of its own in Redis,
    continues, reads and deletes it, and changes no other. Exits with 0 if it found neither
    warnings nor problems, with 1 after a warning, and with 2 after a problem.
    """
    exit_with(_findings(), json=json)


def _findings() -> list[Finding]:
    try:
        settings = read_settings(os.environ)
        ring = KeyRing.parse(settings.keys) if settings.keys else KeyRing.random(os.urandom)
    except SettingsProblem as problem:
        return [_setting_finding(Level.PROBLEM, text) for text in problem.problems]
    except KeyRingProblem as problem:
        return [_setting_finding(Level.PROBLEM, str(problem))]
    return [
        Finding(Level.GOOD, "settings", "valid"),
        *(_setting_finding(Level.WARNING, text) for text in setting_warnings(os.environ)),
        *settings_findings(settings),
        *asyncio.run(_answers(settings, ring)),
    ]


def _setting_finding(level: Level, text: str) -> Finding:
    # The name of an unknown setting may have bytes that are not UTF-8.
    printable = text.encode("utf-8", "replace").decode()
    return Finding(level, "settings", printable, "docs/settings.md describes every setting.")


async def _answers(settings: Settings, ring: KeyRing) -> list[Finding]:
    """What the other servers answer."""
    public_url, redis, model, hook = await asyncio.gather(
        public_url_finding(settings.public_url),
        _redis_findings(settings, ring),
        model_findings(settings),
        hook_findings(settings),
    )
    # Alone: the package for tool servers takes a second to load, in which nothing else could run.
    return [public_url, *redis, *model, *hook, *await tool_server_findings(settings)]


async def _redis_findings(settings: Settings, ring: KeyRing) -> list[Finding]:
    if settings.storage is Storage.MEMORY:
        return []
    clock, address = SystemClock(), redis_address(settings)
    try:
        async with open_redis(address, clock=clock, telemetry=_Silence(), within=_TIMEOUT) as redis:
            return [
                Finding(Level.GOOD, "Redis", f"answers at {address}"),
                *await connection_findings(redis, clock, address.user),
                *await server_findings(redis, address.user),
                *await _trial_findings(redis, ring, clock, address),
                *await key_findings(redis, ring, address.user),
            ]
    except RedisUnreachable as error:
        advice = connecting_line(error, address.user) or error.advice
        return [Finding(Level.PROBLEM, "Redis", error.text, advice)]
    except StoreUnavailable as error:
        cause = cause_of(error.__cause__ or error)
        return [Finding(Level.PROBLEM, "Redis", f"Redis at {address}: {cause.text}", cause.advice)]


async def _trial_findings(
    redis: RedisClient, ring: KeyRing, clock: Clock, address: RedisAddress
) -> list[Finding]:
    """Whether Redis lets us do what the service does; the conversation is the second half."""
    identifiers = RandomIdentifiers()
    permissions = await permission_findings(
        redis, f"doctor{identifiers.process_id()}", address.user
    )
    if any(finding.level is not Level.GOOD for finding in permissions):
        return permissions
    trial = TrialConversation.new(redis, ring, clock, identifiers)
    return [*permissions, *await trial.findings()]


async def tool_server_findings(settings: Settings) -> list[Finding]:
    """One finding for each server; a single one if there are none, or if the package is missing."""
    servers = load_assistant(settings.assistant_file).tools.servers
    if not servers:
        return [Finding(Level.GOOD, _TOOL_SERVERS, "none")]
    try:
        # It loads much, which a check without tool servers does not need.
        from adapters.tool_servers.server_check import server_findings  # noqa: PLC0415
    except ImportError:
        text = "ASSISTANT_FILE names some, but the package mcp is not installed"
        advice = "Install it with: pip install 'privity[mcp]'"
        return [Finding(Level.PROBLEM, _TOOL_SERVERS, text, advice)]
    return await server_findings(servers)


class _Silence:
    """Telemetry of a command that reports what it finds itself."""

    def emit(self, event: str, **fields: str | float | bool | None) -> None:
        """Nothing: a failure becomes a finding."""
