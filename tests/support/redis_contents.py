"""Everything that a Redis stores, writes to disk and receives, for tests that search it."""

import asyncio
import base64
import json
from asyncio import StreamReader
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from attrs import define, field
from redis.asyncio import Redis

from tests.support.redis_servers import RedisProcess


@define
class Monitor:
    """Every command that the server receives."""

    _reader: StreamReader
    seen: bytearray = field(factory=bytearray)

    async def has_seen(self, redis: "Redis", mark: str) -> None:
        """Return once a command sent now has been seen, and therefore all earlier ones."""
        await redis.echo(mark)
        async with asyncio.timeout(20):
            while mark.encode() not in self.seen:
                self.seen += await self._reader.read(65_536)


@asynccontextmanager
async def monitoring(server: RedisProcess) -> AsyncIterator[Monitor]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=2**24)
    writer.write(b"MONITOR\r\n")
    assert await reader.readline() == b"+OK\r\n"
    try:
        yield Monitor(reader)
    finally:
        writer.close()
        await writer.wait_closed()


async def dump_keys(redis: "Redis") -> dict[bytes, bytes]:
    """The members of every key, preceded by its DUMP."""
    return {key: b"".join(await _members(redis, key)) for key in map(raw, await redis.keys("*"))}


async def conversation_keys(redis: "Redis") -> list[str]:
    """The names of the keys that belong to conversations."""
    return sorted(raw(key).decode() for key in await redis.keys("*conversation:*"))


async def _members(redis: "Redis", key: bytes) -> list[bytes]:
    kind = await redis.type(key)
    dump = await redis.dump(key) or b""
    if kind == b"list":
        return [dump, *map(raw, await redis.lrange(key.decode(), 0, -1))]
    if kind == b"string":
        return [dump, raw(await redis.get(key) or b"")]
    if kind == b"hash":
        leases: dict[Any, Any] = await redis.hgetall(key.decode())
        return [dump, *(part for pair in leases.items() for part in pair)]
    assert kind == b"stream", kind
    entries: list[Any] = await redis.xrange(key) or []
    return [dump, *(part for _, fields in entries for pair in fields.items() for part in pair)]


def raw(value: bytes | str) -> bytes:
    assert isinstance(value, bytes)
    return value


async def dump_files(redis: "Redis", directory: Path) -> bytes:
    """The contents of the AOF and the RDB file, written now."""
    await redis.save()
    return await asyncio.to_thread(_all_files, directory)


def _all_files(directory: Path) -> bytes:
    files = [path for path in directory.rglob("*") if path.is_file()]
    names = " ".join(path.name for path in files)
    assert ".rdb" in names, names
    assert ".aof" in names, names
    return b"".join(path.read_bytes() for path in files)


def disguises(planted: str) -> Iterator[bytes]:
    """The forms in which plaintext could be found."""
    plain = planted.encode()
    yield from (plain, plain.lower(), plain.upper(), plain[::-1], plain.hex().encode())
    yield from (planted.encode("utf-16-le"), planted.encode("utf-16-be"))
    yield json.dumps(planted).strip('"').encode()
    for shift in range(3):
        # Base64 differs at each of three offsets, and its ends depend on the neighbouring bytes.
        yield base64.b64encode(b" " * shift + plain)[4:-4]
    # A compressor may leave only parts of a repeated sentence unchanged.
    yield from (word.encode() for word in planted.split() if len(word) > 7)
