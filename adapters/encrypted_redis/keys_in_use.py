"""Which master keys conversations are still sealed under, so that an old one can go."""

import asyncio
from collections import Counter
from typing import Final

from adapters.encrypted_redis.commands import Commands
from adapters.encrypted_redis.findings import Finding, Level
from adapters.encrypted_redis.keyspace import state_key
from adapters.sealing.key_ring import KeyRing
from adapters.sealing.sealer import Unopenable, header_of
from domain.model.identifiers import SessionId

_AT_ONCE: Final = 500
_PATTERN: Final = state_key(SessionId("*"))
_RULE: Final = "can go 24 hours after the last process that sealed with it has ended"


async def key_findings(commands: Commands, ring: KeyRing) -> list[Finding]:
    """One finding a key; counting needs a server that lets us look without counting as use.

    Raises:
        StoreUnavailable: Redis does not answer.
    """
    first = Finding(Level.GOOD, f"key {ring.first.label}", "seals")
    older = ring.keys[1:]
    if not older:
        return [first]
    if await commands.asked("CLIENT", "NO-TOUCH", "ON") != b"OK":
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


async def _frames_by_key(commands: Commands) -> Counter[bytes]:
    """How many conversations have their oldest frame under each key."""
    found: Counter[bytes] = Counter()
    cursor = b"0"
    while True:
        cursor, keys = await commands.repeatable(
            "doctor", "SCAN", cursor, "MATCH", _PATTERN, "COUNT", _AT_ONCE
        )
        frames = await asyncio.gather(*(commands.asked("LINDEX", key, 0) for key in keys))
        found.update(_key_id(frame) for frame in frames if isinstance(frame, bytes))
        if cursor == b"0":
            return found


def _key_id(frame: bytes) -> bytes:
    try:
        return header_of(frame).key_id
    except Unopenable:
        return b""
