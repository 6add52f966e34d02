"""Load-and-commit pairs per second: the multiplexer compared with other Redis clients.

    pip install valkey-glide
    python benchmarks/wire_pairs.py [tcp|tls] [ROUNDS]

128 callers, each with a list of ten frames of 416 bytes. A pair is LRANGE of the newest 65 frames,
then the splice script with EVALSHA, which replaces the last frame and needs the tag that LRANGE
returned. All clients run the same pairs. redis-py makes plain calls, which for one command are
faster than a pipeline.

"both at once" needs no tag from the load: each caller sends both commands together (redis-py in one
pipeline, valkey-glide in one batch). That saves a round trip, but a store cannot work like that.
"""
# ruff: noqa: INP001 - a script

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvloop
from redis.asyncio import BlockingConnectionPool, Redis, SSLConnection
from rounds import Contender, Work, nothing, rates_of, table
from servers import TlsFiles, bind_to_first_core, redis_server, tls_files

from adapters.encrypted_redis.command_queue import Bounds
from adapters.encrypted_redis.connecting import RedisAddress
from adapters.encrypted_redis.keys_and_scripts import SPLICE
from adapters.encrypted_redis.multiplexer import Multiplexer
from adapters.system.clock import SystemClock

CALLERS = 128
FRAMES = 10
SIZE = 416
RETENTION = 86_400_000
OURS = "the multiplexer"
GOALS = {
    "tcp": {"redis-py, single connection": 12.0, "redis-py, pool of 50": 6.0, "valkey-glide": 3.0},
    "tls": {"redis-py, single connection": 9.0, "redis-py, pool of 50": 5.0},
}

Send = Callable[..., Awaitable[Any]]
"""Sends one command; returns its reply."""

Both = Callable[[tuple[Any, ...], tuple[Any, ...]], Awaitable[Any]]
"""Sends two commands at once; returns their replies."""


def _key(caller: int) -> str:
    return f"conversation:state:00000000-0000-4000-8000-{caller:012x}"


def _load(caller: int) -> tuple[Any, ...]:
    return ("LRANGE", _key(caller), "-65", "-1")


def _commit(caller: int) -> tuple[Any, ...]:
    """The first arguments of the commit, up to its keys; the expected tag and the others follow."""
    key = _key(caller)
    return ("EVALSHA", SPLICE.digest, "3", key, f"{{{key}}}:turn", f"{{{key}}}:forgotten")


_REPLACING_ONE = ("1", str(RETENTION), "", "", "", "0")
_BODY = b"\x07" * (SIZE - 16)


def _after(tag: bytes) -> bytes:
    return (int.from_bytes(tag, "big") + 1).to_bytes(16, "big")


def _pairs(send: Send) -> Work:
    async def work(caller: int, may_continue: Callable[[], bool]) -> int:
        done, load, commit = 0, _load(caller), _commit(caller)
        while may_continue():
            tag = (await send(*load))[-1][-16:]
            reply = await send(*commit, tag, *_REPLACING_ONE, _BODY + _after(tag))
            assert reply == b"OK"
            done += 1
        return done

    return work


def _at_once(both: Both, first: Send) -> Work:
    async def work(caller: int, may_continue: Callable[[], bool]) -> int:
        done, load, commit = 0, _load(caller), _commit(caller)
        tag = (await first(*load))[-1][-16:]
        while may_continue():
            following = _after(tag)
            whole = (*commit, tag, *_REPLACING_ONE, _BODY + following)
            _, reply = await both(load, whole)
            assert reply == b"OK"
            tag, done = following, done + 1
        return done

    return work


@asynccontextmanager
async def _multiplexer(address: RedisAddress) -> AsyncIterator[tuple[Send, Both]]:
    connection = Multiplexer(address.new_connection, Bounds(), SystemClock())
    running = asyncio.create_task(connection.run())
    await connection.call("PING")

    async def both(one: tuple[Any, ...], other: tuple[Any, ...]) -> Any:
        first, second = connection.call(*one), connection.call(*other)
        return await first, await second

    yield connection.call, both
    connection.close()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


@asynccontextmanager
async def _redis_py(client: "Redis") -> AsyncIterator[tuple[Send, Both]]:
    async def both(one: tuple[Any, ...], other: tuple[Any, ...]) -> Any:
        async with client.pipeline(transaction=False) as pipeline:
            pipeline.execute_command(*one)
            pipeline.execute_command(*other)
            return await pipeline.execute()

    yield client.execute_command, both
    await client.aclose()


@asynccontextmanager
async def _glide(port: int, tls: TlsFiles | None) -> AsyncIterator[tuple[Send, Both]]:
    import glide  # noqa: PLC0415 - imported only if used

    advanced = None
    if tls is not None:
        tls_config = glide.TlsAdvancedConfiguration(root_pem_cacerts=tls.ca.read_bytes())
        advanced = glide.AdvancedGlideClientConfiguration(tls_config=tls_config)
    addresses = [glide.NodeAddress("127.0.0.1", port)]
    client = await glide.GlideClient.create(
        glide.GlideClientConfiguration(
            addresses, use_tls=tls is not None, advanced_config=advanced, request_timeout=2_000
        )
    )

    async def send(*command: Any) -> Any:
        reply = await client.custom_command(list(command))
        return b"OK" if reply == "OK" else reply

    async def both(one: tuple[Any, ...], other: tuple[Any, ...]) -> Any:
        batch = glide.Batch(is_atomic=False)
        batch.custom_command(list(one))
        batch.custom_command(list(other))
        first, second = await client.exec(batch, raise_on_error=True)
        return first, b"OK" if second == "OK" else second

    yield send, both
    await client.close()


def _clients(port: int, tls: TlsFiles | None) -> dict[str, Any]:
    """The clients to compare, by name; redis-py uses hiredis."""
    address = RedisAddress(
        url=f"redis{'s' if tls else ''}://127.0.0.1:{port}/0", ca_file=tls.ca if tls else None
    )
    options: dict[str, Any] = {"host": "127.0.0.1", "port": port}
    tls_options = {"ssl_ca_certs": str(tls.ca)} if tls else {}
    # Even the single client opens more connections for pipelines, by default at most 100.
    single_options = {**options, "max_connections": 2 * CALLERS, "single_connection_client": True}
    single = Redis(**single_options, ssl=tls is not None, **tls_options)
    pool: Any = BlockingConnectionPool(
        max_connections=50,
        timeout=None,
        **options,
        **({"connection_class": SSLConnection, **tls_options} if tls else {}),
    )
    return {
        OURS: _multiplexer(address),
        "redis-py, single connection": _redis_py(single),
        "redis-py, pool of 50": _redis_py(Redis(connection_pool=pool)),
        "valkey-glide": _glide(port, tls),
    }


async def _seed(send: Send) -> None:
    await send("SCRIPT", "LOAD", SPLICE.text)
    frames = [_BODY + number.to_bytes(16, "big") for number in range(FRAMES)]
    for caller in range(CALLERS):
        await send("RPUSH", _key(caller), *frames)


async def _measured(port: int, tls: TlsFiles | None, rounds: int) -> None:
    pairs, at_once = [], []
    async with AsyncExitStack() as stack:
        for name, client in _clients(port, tls).items():
            send, both = await stack.enter_async_context(client)
            if name == OURS:
                await _seed(send)
            pairs.append(Contender(name, _pairs(send), nothing))
            at_once.append(Contender(name, _at_once(both, send), nothing))
        bind_to_first_core()
        goals = GOALS["tls" if tls else "tcp"]
        for heading, contenders in (("one after the other", pairs), ("both at once", at_once)):
            rates = await rates_of(contenders, callers=CALLERS, rounds=rounds, seconds=0.5)
            print(f"\n{heading}\n\n{table(rates, OURS, goals, 'pair')}", flush=True)


async def main(transport: str = "tcp", rounds: str = "15") -> None:
    with TemporaryDirectory(prefix="privity-") as directory:
        tls = tls_files(Path(directory)) if transport == "tls" else None
        options = tls.options if tls else ()
        with redis_server(*options, tls=tls is not None) as port:
            await _measured(port, tls, int(rounds))


if __name__ == "__main__":
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    uvloop.run(main(*sys.argv[1:]))
