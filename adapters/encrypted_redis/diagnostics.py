"""What is found out about a Redis: whether it is set up as these conversations need it.

The settings are those of the plan: 100 MB, allkeys-lru, appendonly. They are read where the server
lets us; nothing here counts as use of a key.

Which master keys conversations are still sealed under, so that an old one can go.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Final

from attrs import frozen

from adapters.encrypted_redis.keys_and_scripts import state_key
from adapters.encrypted_redis.redis_client import RedisClient
from adapters.sealing.key_ring import KeyRing
from adapters.sealing.sealer import UnsealError, header_of
from domain.model.identifiers import SessionId
from ports.clock import Clock

_OLDEST: Final = (6, 2)
_WANTED_BYTES: Final = 100_000_000
_POLICY: Final = "allkeys-lru"
_SKEW: Final = timedelta(seconds=5)
_SLOW: Final = timedelta(milliseconds=20)
_PINGS: Final = 5


class Level(IntEnum):
    """How bad a finding is; also the exit code it leads to."""

    GOOD = 0
    WARNING = 1
    PROBLEM = 2


@frozen
class Finding:
    """One thing that was looked at."""

    level: Level
    topic: str
    text: str


async def server_findings(commands: RedisClient) -> list[Finding]:
    """How the server is set up.

    Raises:
        StoreUnavailable: it does not answer.
    """
    await commands.call_once("doctor", "PING")
    told = await commands.query_if_allowed("INFO")
    if not isinstance(told, bytes):
        return [Finding(Level.GOOD, "settings", "not readable, declared by you")]
    info = _parsed(told)
    fsync = await commands.query_if_allowed("CONFIG", "GET", "appendfsync")
    return [*_version(info), *_memory(info), *_persistence(info), *_fsync(fsync)]


async def connection_findings(commands: RedisClient, clock: Clock) -> list[Finding]:
    """Round trip, user, and the server's clock.

    Raises:
        StoreUnavailable: it does not answer.
    """
    return [await _round_trip(commands, clock), await _user(commands), await _time(commands, clock)]


def _parsed(info: bytes) -> Mapping[str, str]:
    lines = (line.partition(":") for line in info.decode("utf-8", "replace").splitlines())
    return {name: value for name, colon, value in lines if colon}


def _version(info: Mapping[str, str]) -> Iterator[Finding]:
    text = info.get("redis_version", "")
    numbers = tuple(int(part) for part in text.split(".")[:2] if part.isdecimal())
    if numbers >= _OLDEST:
        yield Finding(Level.GOOD, "version", text)
    else:
        yield Finding(Level.PROBLEM, "version", f"{text or 'unknown'}; needed is 6.2 or newer")


def _memory(info: Mapping[str, str]) -> Iterator[Finding]:
    limit = int(info.get("maxmemory", "0"))
    if limit == 0:
        yield Finding(Level.WARNING, "maxmemory", "no limit; set 100mb or what you can spare")
    elif limit < _WANTED_BYTES:
        yield Finding(Level.WARNING, "maxmemory", f"{limit:,} bytes; planned are 100 MB")
    else:
        yield Finding(Level.GOOD, "maxmemory", f"{limit:,} bytes")
    policy = info.get("maxmemory_policy", "unknown")
    level = Level.GOOD if policy == _POLICY else Level.WARNING
    hint = "" if policy == _POLICY else f"; with {_POLICY} the longest idle conversation goes first"
    yield Finding(level, "maxmemory-policy", policy + hint)


def _persistence(info: Mapping[str, str]) -> Iterator[Finding]:
    if info.get("aof_enabled") == "1":
        yield Finding(Level.GOOD, "appendonly", "yes")
    else:
        yield Finding(Level.WARNING, "appendonly", "no; a restart of Redis forgets what came last")
    failing = [
        name
        for name in ("aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status")
        if info.get(name, "ok") != "ok"
    ]
    if failing:
        yield Finding(Level.PROBLEM, "persistence", f"{', '.join(failing)}: not ok")
    else:
        yield Finding(Level.GOOD, "persistence", "no errors")


def _fsync(reply: object) -> Iterator[Finding]:
    if not isinstance(reply, list) or len(reply) != 2:  # noqa: PLR2004 - a name and its value
        yield Finding(Level.GOOD, "appendfsync", "not readable, declared by you")
        return
    value = reply[1].decode()
    if value == "no":
        yield Finding(Level.WARNING, "appendfsync", "no; a crash may lose half a minute")
    else:
        yield Finding(Level.GOOD, "appendfsync", value)


async def _round_trip(commands: RedisClient, clock: Clock) -> Finding:
    took: list[timedelta] = []
    for _ in range(_PINGS):
        began = clock.monotonic()
        await commands.call_once("doctor", "PING")
        took.append(clock.monotonic() - began)
    best = min(took)
    level = Level.GOOD if best <= _SLOW else Level.WARNING
    return Finding(level, "round trip", f"{best.total_seconds() * 1000:.2f} ms")


async def _user(commands: RedisClient) -> Finding:
    name = await commands.query_if_allowed("ACL", "WHOAMI")
    if not isinstance(name, bytes):
        return Finding(Level.GOOD, "user", "not readable, declared by you")
    if name != b"default":
        return Finding(Level.GOOD, "user", name.decode("utf-8", "replace"))
    return Finding(Level.WARNING, "user", "default; give the service an ACL user of its own")


async def _time(commands: RedisClient, clock: Clock) -> Finding:
    told = await commands.query_if_allowed("TIME")
    if not isinstance(told, list):
        return Finding(Level.GOOD, "clock", "not readable, declared by you")
    skew = abs(datetime.fromtimestamp(int(told[0]) + int(told[1]) / 1_000_000, UTC) - clock.now())
    level = Level.GOOD if skew <= _SKEW else Level.WARNING
    return Finding(level, "clock", f"{skew.total_seconds():.1f} s apart")


_AT_ONCE: Final = 500
_PATTERN: Final = state_key(SessionId("*"))
_RULE: Final = "can go 24 hours after the last process that sealed with it has ended"


async def key_findings(commands: RedisClient, ring: KeyRing) -> list[Finding]:
    """One finding a key; counting needs a server that lets us look without counting as use.

    Raises:
        StoreUnavailable: Redis does not answer.
    """
    first = Finding(Level.GOOD, f"key {ring.first.label}", "seals")
    older = ring.keys[1:]
    if not older:
        return [first]
    if await commands.query_if_allowed("CLIENT", "NO-TOUCH", "ON") != b"OK":
        return [first, *(Finding(Level.GOOD, f"key {key.label}", _RULE) for key in older)]
    found = await _frames_by_key(commands)
    counted = [(key.label, found[key.key_id]) for key in older]
    return [
        first,
        *(Finding(Level.GOOD, f"key {label}", _verdict(count)) for label, count in counted),
        *_strangers(found, ring),
    ]


def _verdict(count: int) -> str:
    return f"still needed by {count:,} conversations" if count else f"not in use now; {_RULE}"


def _strangers(found: Counter[bytes], ring: KeyRing) -> list[Finding]:
    unknown = sum(count for key_id, count in found.items() if ring.by_id(key_id) is None)
    if not unknown:
        return []
    text = f"{unknown:,} conversations are under a key that is not in PRIVITY_KEYS"
    return [Finding(Level.PROBLEM, "keys", text)]


async def _frames_by_key(commands: RedisClient) -> Counter[bytes]:
    """How many conversations have their oldest frame under each key."""
    found: Counter[bytes] = Counter()
    cursor = b"0"
    while True:
        cursor, keys = await commands.call_idempotent(
            "doctor", "SCAN", cursor, "MATCH", _PATTERN, "COUNT", _AT_ONCE
        )
        frames = await asyncio.gather(
            *(commands.query_if_allowed("LINDEX", key, 0) for key in keys)
        )
        found.update(_key_id(frame) for frame in frames if isinstance(frame, bytes))
        if cursor == b"0":
            return found


def _key_id(frame: bytes) -> bytes:
    try:
        return header_of(frame).key_id
    except UnsealError:
        return b""
