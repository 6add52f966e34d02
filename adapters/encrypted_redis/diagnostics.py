"""Checks how Redis is set up, and which master keys stored conversations still need.

100 MB of memory, allkeys-lru and appendonly are recommended. A setting that our Redis user may not
read is left to the operator to verify. No check changes a Redis key or makes it look recently used.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from adapters.encrypted_redis.keys_and_scripts import state_key
from adapters.encrypted_redis.redis_client import RedisClient
from adapters.sealing.key_ring import KeyRing
from adapters.sealing.sealer import UnsealError, header_of
from domain.model.identifiers import SessionId
from ports.clock import Clock
from ports.findings import Finding, Level

_OLDEST_VERSION: Final = (6, 2)
_RECOMMENDED_BYTES: Final = 100_000_000
_RECOMMENDED_POLICY: Final = "allkeys-lru"
_MAX_SKEW: Final = timedelta(seconds=5)
_MAX_ROUND_TRIP: Final = timedelta(milliseconds=20)
_PINGS: Final = 5
_SCAN_COUNT: Final = 500
_STATE_KEY_PATTERN: Final = state_key(SessionId("*"))
_UNREADABLE: Final = "could not be read; please verify"
_REMOVAL: Final = "can be removed 24 hours after the last process that seals with it has stopped"


async def server_findings(client: RedisClient) -> list[Finding]:
    """The server's version, memory, eviction policy and persistence.

    Raises:
        StoreUnavailable: Redis did not answer.
    """
    await client.call_once("doctor", "PING")
    reply = await client.query_if_allowed("INFO")
    if not isinstance(reply, bytes):
        return [Finding(Level.GOOD, "settings", _UNREADABLE)]
    info = _parse_info(reply)
    fsync = await client.query_if_allowed("CONFIG", "GET", "appendfsync")
    return [*_version(info), *_memory(info), *_persistence(info), *_fsync(fsync)]


async def connection_findings(client: RedisClient, clock: Clock) -> list[Finding]:
    """The round-trip time, our Redis user, and how far Redis's clock is from ours.

    Raises:
        StoreUnavailable: Redis did not answer.
    """
    return [await _round_trip(client, clock), await _user(client), await _time(client, clock)]


async def key_findings(client: RedisClient, ring: KeyRing) -> list[Finding]:
    """One finding per master key, and one if conversations need a key that is not in the ring.

    Conversations are read only if the ring has several keys and CLIENT NO-TOUCH is permitted.
    Without NO-TOUCH, reading them would make them look recently used.

    Raises:
        StoreUnavailable: Redis did not answer.
    """
    first = Finding(Level.GOOD, f"key '{ring.first.label}'", "active")
    older = ring.keys[1:]
    if not older:
        return [first]
    if await client.query_if_allowed("CLIENT", "NO-TOUCH", "ON") != b"OK":
        return [first, *(Finding(Level.GOOD, f"key '{key.label}'", _REMOVAL) for key in older)]
    counts = await _oldest_keys(client)
    return [
        first,
        *(
            Finding(Level.GOOD, f"key '{key.label}'", _use_of_key(counts[key.key_id]))
            for key in older
        ),
        *_missing_keys(counts, ring),
    ]


def _parse_info(reply: bytes) -> Mapping[str, str]:
    lines = (line.partition(":") for line in reply.decode("utf-8", "replace").splitlines())
    return {name: value for name, colon, value in lines if colon}


def _version(info: Mapping[str, str]) -> Iterator[Finding]:
    text = info.get("redis_version", "")
    numbers = tuple(int(part) for part in text.split(".")[:2] if part.isdecimal())
    if numbers >= _OLDEST_VERSION:
        yield Finding(Level.GOOD, "version", text)
    else:
        yield Finding(Level.PROBLEM, "version", f"{text or 'unknown'}; 6.2 or newer is required")


def _memory(info: Mapping[str, str]) -> Iterator[Finding]:
    limit = int(info.get("maxmemory", "0"))
    if limit == 0:
        yield Finding(Level.WARNING, "maxmemory", "no limit; 100 MB is recommended")
    elif limit < _RECOMMENDED_BYTES:
        yield Finding(Level.WARNING, "maxmemory", f"{limit:,} bytes; 100 MB is recommended")
    else:
        yield Finding(Level.GOOD, "maxmemory", f"{limit:,} bytes")
    policy = info.get("maxmemory_policy", "unknown")
    if policy == _RECOMMENDED_POLICY:
        yield Finding(Level.GOOD, "maxmemory-policy", policy)
    else:
        hint = f"{_RECOMMENDED_POLICY} is recommended: it evicts the least recently used first"
        yield Finding(Level.WARNING, "maxmemory-policy", f"{policy}; {hint}")


def _persistence(info: Mapping[str, str]) -> Iterator[Finding]:
    if info.get("aof_enabled") == "1":
        yield Finding(Level.GOOD, "appendonly", "yes")
    else:
        yield Finding(Level.WARNING, "appendonly", "no; a Redis restart loses recent writes")
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
        yield Finding(Level.GOOD, "appendfsync", _UNREADABLE)
        return
    value = reply[1].decode()
    if value == "no":
        yield Finding(Level.WARNING, "appendfsync", "no; a crash may lose the last half minute")
    else:
        yield Finding(Level.GOOD, "appendfsync", value)


async def _round_trip(client: RedisClient, clock: Clock) -> Finding:
    durations: list[timedelta] = []
    for _ in range(_PINGS):
        start = clock.monotonic()
        await client.call_once("doctor", "PING")
        durations.append(clock.monotonic() - start)
    best = min(durations)
    level = Level.GOOD if best <= _MAX_ROUND_TRIP else Level.WARNING
    return Finding(level, "round trip", f"{best.total_seconds() * 1000:.2f} ms")


async def _user(client: RedisClient) -> Finding:
    name = await client.query_if_allowed("ACL", "WHOAMI")
    if not isinstance(name, bytes):
        return Finding(Level.GOOD, "user", _UNREADABLE)
    if name != b"default":
        return Finding(Level.GOOD, "user", name.decode("utf-8", "replace"))
    return Finding(Level.WARNING, "user", "default; a dedicated ACL user is recommended")


async def _time(client: RedisClient, clock: Clock) -> Finding:
    reply = await client.query_if_allowed("TIME")
    if not isinstance(reply, list):
        return Finding(Level.GOOD, "clock", _UNREADABLE)
    seconds, microseconds = map(int, reply)
    skew = abs(datetime.fromtimestamp(seconds + microseconds / 1_000_000, UTC) - clock.now())
    level = Level.GOOD if skew <= _MAX_SKEW else Level.WARNING
    return Finding(level, "clock", f"{skew.total_seconds():.1f} s apart")


def _use_of_key(count: int) -> str:
    return f"still needed by {count:,} conversations" if count else f"not in use; {_REMOVAL}"


def _missing_keys(counts: Counter[bytes], ring: KeyRing) -> Iterator[Finding]:
    missing = sum(count for key_id, count in counts.items() if ring.by_id(key_id) is None)
    if missing:
        text = f"{missing:,} conversations are sealed with a key that is not in PRIVITY_KEYS"
        yield Finding(Level.PROBLEM, "keys", text)


async def _oldest_keys(client: RedisClient) -> Counter[bytes]:
    """For each key id, the number of conversations whose oldest frame is sealed with that key."""
    counts: Counter[bytes] = Counter()
    cursor = b"0"
    while True:
        cursor, keys = await client.call_idempotent(
            "doctor", "SCAN", cursor, "MATCH", _STATE_KEY_PATTERN, "COUNT", _SCAN_COUNT
        )
        frames = await asyncio.gather(*(client.query_if_allowed("LINDEX", key, 0) for key in keys))
        counts.update(_key_id(frame) for frame in frames if isinstance(frame, bytes))
        if cursor == b"0":
            return counts


def _key_id(frame: bytes) -> bytes:
    try:
        return header_of(frame).key_id
    except UnsealError:
        return b""
