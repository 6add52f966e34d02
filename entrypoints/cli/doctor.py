"""``privity doctor``."""

import asyncio
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import typer

from adapters.encrypted_redis.connecting import RedisUnreachable, open_redis
from adapters.encrypted_redis.diagnostics import (
    Finding,
    Level,
    connection_findings,
    key_findings,
    server_findings,
)
from adapters.observability.structured_log import StructuredLog
from adapters.sealing.client_keys import SealedClientKeys
from adapters.sealing.key_ring import KeyRing, KeyRingProblem
from adapters.system.clock import SystemClock
from entrypoints.container import redis_address
from entrypoints.settings import Settings, SettingsProblem, Storage, read_settings
from ports.errors import StoreUnavailable

_PATIENCE: Final = timedelta(seconds=5)
_MARKS: Final = {Level.GOOD: "ok", Level.WARNING: "warning", Level.PROBLEM: "problem"}
_COLOURS: Final = {
    Level.GOOD: typer.colors.GREEN,
    Level.WARNING: typer.colors.YELLOW,
    Level.PROBLEM: typer.colors.RED,
}


def doctor() -> None:
    """Look at the settings and at Redis, and say what is not as it should be.

    Ends with 0 when all is well, 1 after a warning, 2 after a problem. Changes nothing.
    """
    found = _examined()
    for finding in found:
        mark = typer.style(f"{_MARKS[finding.level]:8}", fg=_COLOURS[finding.level])
        typer.echo(f"{mark} {finding.topic}: {finding.text}")
    raise typer.Exit(max((finding.level for finding in found), default=Level.GOOD).value)


def _examined() -> list[Finding]:
    try:
        settings = read_settings(os.environ)
        ring = KeyRing.parse(settings.keys) if settings.keys else KeyRing.random(os.urandom)
    except SettingsProblem as problem:
        return [Finding(Level.PROBLEM, "settings", text) for text in problem.problems]
    except KeyRingProblem as problem:
        return [Finding(Level.PROBLEM, "settings", str(problem))]
    settled = Finding(Level.GOOD, "settings", "they work together")
    if settings.storage is Storage.MEMORY:
        return [settled, Finding(Level.GOOD, "storage", "memory; a restart forgets everything")]
    return [settled, *_of_address(settings), *asyncio.run(_of_redis(settings, ring))]


def _of_address(settings: Settings) -> Iterator[Finding]:
    url = settings.redis_url or ""
    if url.startswith("rediss://"):
        yield Finding(Level.GOOD, "TLS", "certificate and host name are checked")
    elif settings.redis_plaintext:
        yield Finding(Level.WARNING, "TLS", "none; REDIS_PLAINTEXT says that the network is safe")
    else:
        yield Finding(Level.GOOD, "TLS", "none, and Redis is on this machine")


async def _of_redis(settings: Settings, ring: KeyRing) -> list[Finding]:
    clock, place = SystemClock(), redis_address(settings)
    keys = SealedClientKeys(ring=ring, random_bytes=os.urandom)
    telemetry = StructuredLog(keys.pseudonym)
    try:
        async with open_redis(
            place, clock=clock, telemetry=telemetry, within=_PATIENCE
        ) as commands:
            return [
                Finding(Level.GOOD, "Redis", f"answers at {place}"),
                *await connection_findings(commands, clock),
                *await server_findings(commands),
                *await key_findings(commands, ring),
            ]
    except RedisUnreachable as away:
        return [Finding(Level.PROBLEM, "Redis", str(away))]
    except StoreUnavailable as failed:
        return [Finding(Level.PROBLEM, "Redis", str(failed))]
