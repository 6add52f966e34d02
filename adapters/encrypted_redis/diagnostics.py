"""Checks how Redis is set up, and which master keys stored conversations still need.

100 MB of memory, allkeys-lru and appendonly are recommended. What our Redis user may not read is
reported as unknown. Nothing here changes a key. Conversations do not look recently used afterwards
either, if Redis permits CLIENT NO-TOUCH: see ``_oldest_keys``.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from attrs import frozen
from redis.exceptions import NoPermissionError

from adapters.encrypted_redis.keys_and_scripts import state_key
from adapters.encrypted_redis.permission_check import acl_line, new_user_line
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
_SAMPLE: Final = 200
_ROOMY: Final = 0.5
"""Redis has plenty of room while it uses less than this part of ``maxmemory``."""
# Session ids are UUIDs. The keys of other checks have no hyphens.
_STATE_KEY_PATTERN: Final = state_key(SessionId("*-*-*-*-*"))
_REMOVAL: Final = "can be removed 24 hours after the last process that seals with it has stopped"


async def server_findings(client: RedisClient, user: str = "default") -> list[Finding]:
    """The server's version, memory, eviction policy and persistence.

    ``user`` is our Redis user, for the lines to paste.

    Raises:
        StoreUnavailable: Redis did not answer.
    """
    await client.call_once("doctor", "PING")
    reply = await client.query_if_allowed("INFO")
    fsync = await client.query_if_allowed("CONFIG", "GET", "appendfsync")
    if not isinstance(reply, bytes):
        text = "version, memory and persistence could not be read"
        unknown = Finding(Level.UNKNOWN, "server", text, acl_line(user, "+info"))
        return [unknown, *_fsync(fsync, user)]
    info = _parse_info(reply)
    return [
        *_version(info),
        *_cluster(info),
        *_memory(info),
        *_persistence(info),
        *_fsync(fsync, user),
    ]


async def connection_findings(client: RedisClient, clock: Clock, user: str) -> list[Finding]:
    """The round-trip time, our Redis user, and how far Redis's clock is from ours.

    Raises:
        StoreUnavailable: Redis did not answer.
    """
    return [await _round_trip(client, clock), _user(user), await _time(client, clock, user)]


async def key_findings(client: RedisClient, ring: KeyRing, user: str) -> list[Finding]:
    """One finding per master key, and one about conversations whose key is not in the ring.

    Raises:
        StoreUnavailable: Redis did not answer.
    """
    first = Finding(Level.GOOD, f"key '{ring.first.label}'", "active")
    older = ring.keys[1:]
    stored = await _oldest_keys(client)
    if stored is None:
        return [
            first,
            *(Finding(Level.GOOD, f"key '{key.label}'", _REMOVAL) for key in older),
            Finding(
                Level.UNKNOWN,
                "conversations",
                "could not be counted, so a missing key would not be noticed",
                acl_line(user, "+scan", "+lindex"),
            ),
        ]
    return [
        first,
        *(
            Finding(Level.GOOD, f"key '{key.label}'", _use_of_key(stored, key.key_id))
            for key in older
        ),
        _missing_keys(stored, ring),
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
        found = f"{text or 'unknown'}; 6.2 or newer is required"
        yield Finding(Level.PROBLEM, "version", found, "Install a newer Redis, or Valkey.")


def _cluster(info: Mapping[str, str]) -> Iterator[Finding]:
    if info.get("cluster_enabled") == "1":
        advice = "In redis.conf: cluster-enabled no"
        yield Finding(Level.PROBLEM, "cluster", "Redis Cluster is not supported", advice)


def _memory(info: Mapping[str, str]) -> Iterator[Finding]:
    limit, advice = int(info.get("maxmemory", "0")), "redis-cli CONFIG SET maxmemory 100mb"
    if limit == 0:
        text = "no limit; 100 MB is recommended"
        yield Finding(Level.WARNING, "maxmemory", text, advice)
    elif limit < _RECOMMENDED_BYTES:
        text = f"{limit:,} bytes; 100 MB is recommended"
        yield Finding(Level.WARNING, "maxmemory", text, advice)
    else:
        yield Finding(Level.GOOD, "maxmemory", f"{limit:,} bytes")
    policy = info.get("maxmemory_policy", "unknown")
    if policy == _RECOMMENDED_POLICY:
        yield Finding(Level.GOOD, "maxmemory-policy", policy)
    else:
        text = f"{policy}; {_RECOMMENDED_POLICY} evicts the least recently used first"
        advice = f"redis-cli CONFIG SET maxmemory-policy {_RECOMMENDED_POLICY}"
        yield Finding(Level.WARNING, "maxmemory-policy", text, advice)


def _persistence(info: Mapping[str, str]) -> Iterator[Finding]:
    if info.get("aof_enabled") == "1":
        yield Finding(Level.GOOD, "appendonly", "yes")
    else:
        text = "no; a Redis restart loses recent writes"
        advice = "redis-cli CONFIG SET appendonly yes"
        yield Finding(Level.WARNING, "appendonly", text, advice)
    failing = [
        name
        for name in ("aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status")
        if info.get(name, "ok") != "ok"
    ]
    if failing:
        advice = "Look for its cause in the log of Redis; often the disk is full or read-only."
        yield Finding(Level.PROBLEM, "persistence", f"{', '.join(failing)}: not ok", advice)
    else:
        yield Finding(Level.GOOD, "persistence", "no errors")


def _fsync(reply: object, user: str) -> Iterator[Finding]:
    if not isinstance(reply, list) or len(reply) != 2:  # noqa: PLR2004 - a name and its value
        advice = acl_line(user, "+config|get")
        yield Finding(Level.UNKNOWN, "appendfsync", "could not be read", advice)
        return
    value = reply[1].decode()
    if value == "no":
        text = "no; a crash may lose the last half minute"
        advice = "redis-cli CONFIG SET appendfsync everysec"
        yield Finding(Level.WARNING, "appendfsync", text, advice)
    else:
        yield Finding(Level.GOOD, "appendfsync", value)


async def _round_trip(client: RedisClient, clock: Clock) -> Finding:
    durations: list[timedelta] = []
    for _ in range(_PINGS):
        start = clock.monotonic()
        await client.call_once("doctor", "PING")
        durations.append(clock.monotonic() - start)
    best = min(durations)
    text = f"{best.total_seconds() * 1000:.2f} ms"
    if best <= _MAX_ROUND_TRIP:
        return Finding(Level.GOOD, "round trip", text)
    advice = "Run Privity nearer to Redis: each message needs several round trips."
    return Finding(Level.WARNING, "round trip", text, advice)


def _user(user: str) -> Finding:
    if user != "default":
        return Finding(Level.GOOD, "user", user)
    text = "default; an ACL user is better. Replace PASSWORD, and put both into REDIS_URL"
    return Finding(Level.WARNING, "user", text, new_user_line())


async def _time(client: RedisClient, clock: Clock, user: str) -> Finding:
    reply = await client.query_if_allowed("TIME")
    if not isinstance(reply, list):
        advice = acl_line(user, "+time")
        return Finding(Level.UNKNOWN, "clock", "Redis's clock could not be read", advice)
    seconds, microseconds = map(int, reply)
    skew = abs(datetime.fromtimestamp(seconds + microseconds / 1_000_000, UTC) - clock.now())
    text = f"differs from the clock of Redis by {skew.total_seconds():.1f} s"
    if skew <= _MAX_SKEW:
        return Finding(Level.GOOD, "clock", text)
    advice = "Synchronise the clocks of both machines. This shows their state: timedatectl"
    return Finding(Level.WARNING, "clock", text, advice)


@frozen(kw_only=True)
class _StoredKeys:
    """Which keys sealed the oldest frames of the stored conversations.

    Attributes:
        conversations: how many are stored.
        counts: for each key id, how many of those that were read it sealed.
        is_sample: whether only some were read.
    """

    conversations: int
    counts: Counter[bytes]
    is_sample: bool

    def describe(self, key_ids: Sequence[bytes]) -> str:
        """How many conversations these keys sealed, such as ``about 1,200 conversations``."""
        found = sum(self.counts[key_id] for key_id in key_ids)
        if self.is_sample:
            estimate = round(found * self.conversations / max(self.counts.total(), 1))
            return f"about {estimate:,} conversations"
        return f"{found:,} conversation{'' if found == 1 else 's'}"


def _use_of_key(stored: _StoredKeys, key_id: bytes) -> str:
    if stored.counts[key_id]:
        return f"still needed by {stored.describe([key_id])}"
    if stored.is_sample:
        return f"not in use by any of {stored.counts.total()} conversations; {_REMOVAL}"
    return f"not in use; {_REMOVAL}"


def _missing_keys(stored: _StoredKeys, ring: KeyRing) -> Finding:
    missing = [key_id for key_id in stored.counts if ring.by_id(key_id) is None]
    if missing:
        text = f"{stored.describe(missing)} sealed with a key that is not in PRIVITY_KEYS"
        advice = "Put that key back into PRIVITY_KEYS, after the first one, for another 24 hours."
        return Finding(Level.PROBLEM, "conversations", text, advice)
    if stored.is_sample:
        count = f"about {stored.conversations:,} stored"
        text = f"{count}; PRIVITY_KEYS has the keys of the {_SAMPLE} checked"
    elif stored.conversations:
        text = f"{stored.conversations:,} stored; PRIVITY_KEYS has all their keys"
    else:
        text = "none are stored"
    return Finding(Level.GOOD, "conversations", text)


async def _oldest_keys(client: RedisClient) -> _StoredKeys | None:
    """The keys that sealed the oldest frames; None if Redis does not permit reading them.

    Reading a conversation makes it look recently used, unless CLIENT NO-TOUCH is permitted, which
    Redis has since version 7.2. Without it, all are read only if Redis will not evict any for a
    while, and otherwise a few.
    """
    untouched = await client.query_if_allowed("CLIENT", "NO-TOUCH", "ON") == b"OK"
    names = await _conversation_keys(client)
    if names is None:
        return None
    read = names
    if not untouched and len(names) > _SAMPLE and not await _has_room(client):
        read = random.sample(names, _SAMPLE)
    counts: Counter[bytes] = Counter()
    for start in range(0, len(read), _SCAN_COUNT):
        batch = read[start : start + _SCAN_COUNT]
        frames = await asyncio.gather(*(client.reply_or_error("LINDEX", key, 0) for key in batch))
        if any(isinstance(frame, NoPermissionError) for frame in frames):
            return None
        counts.update(_key_id(frame) for frame in frames if isinstance(frame, bytes))
    is_sample = len(read) < len(names)
    return _StoredKeys(conversations=len(names), counts=counts, is_sample=is_sample)


async def _conversation_keys(client: RedisClient) -> list[bytes] | None:
    """The keys of all conversations; None if Redis does not permit SCAN."""
    names: set[bytes] = set()
    cursor = b"0"
    while True:
        reply = await client.query_if_allowed(
            "SCAN", cursor, "MATCH", _STATE_KEY_PATTERN, "COUNT", _SCAN_COUNT
        )
        if not isinstance(reply, list):
            return None
        cursor, keys = reply
        names.update(keys)
        if cursor == b"0":
            return list(names)


async def _has_room(client: RedisClient) -> bool:
    """Whether Redis will evict nothing for a while."""
    reply = await client.query_if_allowed("INFO", "memory")
    if not isinstance(reply, bytes):
        return False
    info = _parse_info(reply)
    limit = int(info.get("maxmemory", "0"))
    return limit == 0 or int(info.get("used_memory", "0")) < _ROOMY * limit


def _key_id(frame: bytes) -> bytes:
    try:
        return header_of(frame).key_id
    except UnsealError:
        return b""
