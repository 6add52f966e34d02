"""``privity doctor``: checks the settings, Redis and the model's server."""

import asyncio
import os
from datetime import timedelta
from typing import Final

import typer

from adapters.encrypted_redis.connecting import RedisUnreachable, open_redis
from adapters.encrypted_redis.diagnostics import (
    connection_findings,
    key_findings,
    server_findings,
)
from adapters.observability.structured_log import StructuredLog
from adapters.sealing.client_keys import SealedClientKeys
from adapters.sealing.key_ring import KeyRing, KeyRingProblem
from adapters.system.clock import SystemClock
from entrypoints.cli.model_check import model_findings
from entrypoints.container import redis_address
from entrypoints.settings import Settings, SettingsProblem, Storage, read_settings
from ports.errors import StoreUnavailable
from ports.findings import Finding, Level

_TIMEOUT: Final = timedelta(seconds=5)
_EXIT_STATUS: Final = {Level.GOOD: 0, Level.UNKNOWN: 0, Level.WARNING: 1, Level.PROBLEM: 2}
_COLOURS: Final = {
    Level.GOOD: typer.colors.GREEN,
    Level.UNKNOWN: typer.colors.CYAN,
    Level.WARNING: typer.colors.YELLOW,
    Level.PROBLEM: typer.colors.RED,
}


def doctor() -> None:
    """Check the settings, Redis and the model's server, and report problems.

    Exits with 0 if everything is fine, 1 after a warning, 2 after a problem. Changes nothing.
    """
    findings = _findings()
    for finding in findings:
        mark = typer.style(f"{finding.level.value:8}", fg=_COLOURS[finding.level])
        typer.echo(f"{mark} {finding.topic}: {finding.text}")
    raise typer.Exit(max((_EXIT_STATUS[finding.level] for finding in findings), default=0))


def _findings() -> list[Finding]:
    try:
        settings = read_settings(os.environ)
        ring = KeyRing.parse(settings.keys) if settings.keys else KeyRing.random(os.urandom)
    except SettingsProblem as problem:
        return [Finding(Level.PROBLEM, "settings", text) for text in problem.problems]
    except KeyRingProblem as problem:
        return [Finding(Level.PROBLEM, "settings", str(problem))]
    valid = Finding(Level.GOOD, "settings", "valid")
    model = asyncio.run(model_findings(settings))
    if settings.storage is Storage.MEMORY:
        memory = Finding(Level.GOOD, "storage", "memory; a restart forgets everything")
        return [valid, memory, *model]
    redis = asyncio.run(_redis_findings(settings, ring))
    return [valid, _tls_finding(settings), *redis, *model]


def _tls_finding(settings: Settings) -> Finding:
    if (settings.redis_url or "").startswith("rediss://"):
        return Finding(Level.GOOD, "TLS", "certificate and host name are checked")
    if settings.redis_plaintext:
        return Finding(Level.WARNING, "TLS", "not used; REDIS_PLAINTEXT allows it")
    return Finding(Level.GOOD, "TLS", "not used; Redis is on this machine")


async def _redis_findings(settings: Settings, ring: KeyRing) -> list[Finding]:
    clock, address = SystemClock(), redis_address(settings)
    keys = SealedClientKeys(ring=ring, random_bytes=os.urandom)
    telemetry = StructuredLog(keys.pseudonym)
    try:
        async with open_redis(address, clock=clock, telemetry=telemetry, within=_TIMEOUT) as redis:
            return [
                Finding(Level.GOOD, "Redis", f"answers at {address}"),
                *await connection_findings(redis, clock),
                *await server_findings(redis),
                *await key_findings(redis, ring),
            ]
    except (RedisUnreachable, StoreUnavailable) as error:
        return [Finding(Level.PROBLEM, "Redis", str(error))]
