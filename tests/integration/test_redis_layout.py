"""The documentation on Redis matches what is stored there and which commands the service uses."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.encrypted_redis import keys_and_scripts as scripts
from adapters.encrypted_redis.keys_and_scripts import Script
from adapters.encrypted_redis.process_lease import RedisProcessLease
from adapters.encrypted_redis.rate_limiter import RedisRateLimiter
from adapters.sealing.sealer import header_of
from adapters.system.clock import SystemClock
from domain.model.identifiers import ProcessId, TurnRef
from domain.model.rate_limits import SLOT_LEASE, Charge, Payer, Quota, TurnSlot
from domain.model.turn import Outcome, TurnEnd
from entrypoints.settings import Settings
from tests.support.builders import (
    ID,
    OWNER,
    PROCESS,
    REF,
    a_conversation,
    numbered,
    turn_of,
    with_question,
)
from tests.support.changes import finishing
from tests.support.redis_contents import dump_keys, raw
from tests.support.redis_servers import RedisProcess, embedded_binary, redis_process
from tests.support.redis_store import RING, RedisHarness, redis_harness

DOCS = Path(__file__).parents[2] / "docs"
LAYOUT = (DOCS / "redis_layout.md").read_text("utf-8")
OPERATIONS = (DOCS / "operations.md").read_text("utf-8")
ROW = re.compile(r"^\| `([^`]+)` \| (\w+) \| [^|]+ \| ([^|]+) \|$", re.MULTILINE)
RETENTION = re.compile(r"(\d+) (hours?|minutes?|seconds?)")
GRANTED = re.compile(r"\+[a-z|]+")
OTHER_PROCESS = ProcessId("fedcba9876543210")
TOLERANCE = timedelta(seconds=5)


def documented() -> dict[str, tuple[str, list[timedelta]]]:
    """Type and expiry times of every key of a conversation, by its name."""
    return {
        name: (kind, durations_in(expiry))
        for name, kind, expiry in ROW.findall(LAYOUT)
        if "ratelimit" not in name
    }


def durations_in(text: str) -> list[timedelta]:
    return [
        timedelta(**{f"{unit.rstrip('s')}s": int(number)})
        for number, unit in RETENTION.findall(text)
    ]


def documented_commands() -> set[str]:
    """The commands of the list of what the service's user needs."""
    section = OPERATIONS.partition("The ACL user needs these commands")[2].partition("From Redis")[
        0
    ]
    return {granted.removeprefix("+") for granted in GRANTED.findall(section)}


def documented_keys() -> list[str]:
    """The patterns of the keys that the service's user needs."""
    sentence = OPERATIONS.partition("needs these commands on the keys")[2].partition(".")[0]
    return re.findall(r"`([^`]+)`", sentence)


def commands_in(script: Script) -> set[str]:
    called = re.findall(r"redis\.call\('(\w+)'(?:, '(\w+)', KEYS)?", script.text)
    return {"|".join(filter(None, names)).lower() for names in called}


async def stored_keys(harness: RedisHarness) -> dict[str, tuple[str, timedelta]]:
    """Type and remaining time of every key, named as in the documentation."""
    return {
        str(key, "ascii").replace(ID, "<sessionId>").replace(PROCESS, "<processId>"): (
            str(raw(await harness.redis.type(key)), "ascii"),
            timedelta(milliseconds=await harness.redis.pttl(key)),
        )
        for key in await dump_keys(harness.redis)
    }


async def test_keys_types_and_expiry_times_are_as_documented(harness: RedisHarness) -> None:
    expected = documented()
    await harness.store.create(OWNER, a_conversation())
    empty = await stored_keys(harness)
    running = await harness.store.update(REF, with_question)
    await RedisProcessLease(PROCESS, SystemClock()).renew(harness.connection.call)
    during = await stored_keys(harness)
    await harness.store.update(REF, finishing(), base=running)
    await harness.log.end(REF, turn_of(running), TurnEnd(outcome=Outcome.FINISHED))
    after = await stored_keys(harness)
    await harness.store.forget(REF)
    forgotten = await stored_keys(harness)

    del forgotten["process:<processId>"]
    [(mark, (mark_kind, mark_left))] = forgotten.items()
    assert during.keys() == after.keys() == expected.keys() - {mark}
    assert (mark_kind, within(mark_left, expected[mark][1][0])) == ("string", True)
    [(state, (kind, left))] = empty.items()
    assert (kind, within(left, expected[state][1][1])) == ("list", True)
    for stage, found in enumerate((during, after)):
        for name, (kind, left) in found.items():
            durations = expected[name][1]
            assert kind == expected[name][0]
            assert within(left, durations[stage if kind == "stream" else 0])


def within(left: timedelta, duration: timedelta) -> bool:
    return duration - TOLERANCE < left <= duration


async def test_ids_and_header_are_as_documented(harness: RedisHarness) -> None:
    running = with_question(a_conversation())
    await harness.store.create(OWNER, running)
    turn = turn_of(running)
    await harness.log.append(REF, turn, numbered("a", "b"))
    await harness.log.stop(TurnRef(REF, turn.id))
    await harness.log.end(REF, turn, TurnEnd(outcome=Outcome.FINISHED))
    [log] = [name for name in documented() if name.endswith(":turn")]
    key = log.replace("<sessionId>", ID)
    entries: list[Any] = await harness.redis.xrange(key) or []
    ids = [str(entry[0], "ascii") for entry in entries]
    groups = await harness.redis.xinfo_groups(key)
    [frame] = await harness.frames()

    end = re.findall(r"`<turn>-(\d+)`", LAYOUT)
    assert ids == [f"{turn.number}-{number}" for number in ("0", "2", end[-1])]
    assert end[0] == "0"
    assert [group["name"] for group in groups] == [b"stop"]
    assert header_of(frame).first == header_of(frame).last == 1


async def test_the_keys_of_limits_are_as_documented(harness: RedisHarness) -> None:
    kinds = {name: kind for name, kind, _ in ROW.findall(LAYOUT) if "ratelimit" in name}
    limiter = RedisRateLimiter(client=harness.client, limits=Settings().limit_table)
    payer = Payer(client_key="0123456789abcdef", address="123456789abcdef0")
    # Much is used, because a little is available again at once.
    amounts = {**dict.fromkeys(Quota, 10), Quota.STORED_BYTES: 500_000, Quota.TOKENS: 250_000}
    charge = Charge(payer=payer, amounts=amounts, conversation="23456789abcdef01")
    await limiter.consume(charge, TurnSlot(payer=payer, conversation="c", holder="h"))

    [counter, open_turns] = sorted(kinds, key=lambda name: "open-turns" in name)
    assert (kinds[counter], kinds[open_turns]) == ("string", "hash")
    for limit in Settings().limit_table:
        is_counter = limit.window is not None
        [key] = await harness.redis.keys(f"{{ratelimit}}:{limit.name}:*")
        assert await harness.redis.type(key) == (b"string" if is_counter else b"hash")
        left = timedelta(milliseconds=await harness.redis.pttl(key))
        assert timedelta(0) < left <= (limit.window or SLOT_LEASE)


def test_the_documented_commands_are_those_the_scripts_run() -> None:
    found = {name: one for name, one in vars(scripts).items() if isinstance(one, Script)}
    run = set().union(*(commands_in(script) for script in found.values()))

    assert found.keys() >= {"SPLICE", "APPEND", "END", "STOP", "READ"}
    assert run - documented_commands() == set()


@pytest.fixture(scope="module")
def guarded() -> Iterator[RedisProcess]:
    """A server whose user may run only the documented commands, on the documented keys."""
    granted = " ".join(f"+{command}" for command in sorted(documented_commands()))
    keys = [f"~{key}" for key in documented_keys()]
    rules = ("chat", "on", "nopass", *keys, "-@all", *granted.split())
    with redis_process(embedded_binary(), "--user", *rules) as server:
        yield server


async def test_a_user_with_the_documented_commands_on_these_keys_can_do_everything(
    guarded: RedisProcess,
) -> None:
    url = guarded.url.replace("//", "//chat:any@")
    async with redis_harness(url, RING) as ours:
        lease = RedisProcessLease(PROCESS, SystemClock())
        lease.has_ended(OTHER_PROCESS)
        await lease.renew(ours.connection.call)
        running = with_question(a_conversation())
        await ours.store.create(OWNER, running)
        turn = turn_of(running)
        await ours.log.append(REF, turn, numbered("a"))
        await ours.log.stop(TurnRef(REF, turn.id))
        await ours.log.read(TurnRef(REF, turn.id), 0, timedelta())
        await ours.store.update(REF, finishing())
        await ours.log.end(REF, turn, TurnEnd(outcome=Outcome.FINISHED))
        await ours.store.page(REF, None, 10)
        await ours.store.forget(REF)
        limiter = RedisRateLimiter(client=ours.client, limits=Settings().limit_table)
        payer = Payer(client_key="a key", address="an address")
        charge = Charge(payer=payer, amounts=dict.fromkeys(Quota, 1))
        slot = TurnSlot(payer=payer, conversation="c", holder="h")
        await limiter.consume(charge, slot)
        await limiter.hold(slot)
        await limiter.settle(charge, slot)

        assert ours.telemetry.events == []
        for forbidden in (("KEYS", "*"), ("FLUSHALL",), ("SET", "other", "1"), ("MONITOR",)):
            assert await ours.client.query_if_allowed(*forbidden) is None
