"""What the documentation says of Redis is what lies there and what the service asks for."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.encrypted_redis import keys_and_scripts as scripts
from adapters.encrypted_redis.keys_and_scripts import Script
from adapters.sealing.sealer import header_of
from domain.model.identifiers import TurnRef
from domain.model.turn import Outcome, TurnEnd
from tests.support.builders import ID, OWNER, REF, a_conversation, numbered, turn_of, with_question
from tests.support.changes import finishing
from tests.support.redis_contents import held, raw
from tests.support.redis_servers import RedisProcess, embedded_binary, redis_process
from tests.support.redis_store import RING, RedisHarness, redis_harness

DOCS = Path(__file__).parents[2] / "docs"
LAYOUT = (DOCS / "redis_layout.md").read_text("utf-8")
OPERATIONS = (DOCS / "operations.md").read_text("utf-8")
ROW = re.compile(r"^\| `([^`]+)` \| (\w+) \| [^|]+ \| ([^|]+) \|$", re.MULTILINE)
RETENTION = re.compile(r"(\d+) (hours?|minutes?|seconds?)")
GRANTED = re.compile(r"\+[a-z|]+")
LENIENCY = timedelta(seconds=5)


def documented() -> dict[str, tuple[str, list[timedelta]]]:
    """Type and stays of every key, by its name."""
    return {name: (kind, stays_in(stays)) for name, kind, stays in ROW.findall(LAYOUT)}


def stays_in(text: str) -> list[timedelta]:
    return [
        timedelta(**{f"{unit.rstrip('s')}s": int(number)})
        for number, unit in RETENTION.findall(text)
    ]


def documented_commands() -> set[str]:
    """What the service's user is allowed, as the page has it in its list."""
    section = OPERATIONS.partition("The user needs these commands")[2].partition("From Redis")[0]
    return {granted.removeprefix("+") for granted in GRANTED.findall(section)}


def commands_in(script: Script) -> set[str]:
    called = re.findall(r"redis\.call\('(\w+)'(?:, '(\w+)', KEYS)?", script.text)
    return {"|".join(filter(None, names)).lower() for names in called}


async def lying_there(harness: RedisHarness) -> dict[str, tuple[str, timedelta]]:
    """Type and stay of every key, as the page would name it."""
    return {
        str(key, "ascii").replace(ID, "<sessionId>"): (
            str(raw(await harness.redis.type(key)), "ascii"),
            timedelta(milliseconds=await harness.redis.pttl(key)),
        )
        for key in await held(harness.redis)
    }


async def test_keys_types_and_stays_are_as_documented(harness: RedisHarness) -> None:
    wanted = documented()
    await harness.store.create(OWNER, a_conversation())
    empty = await lying_there(harness)
    running = await harness.store.update(REF, with_question)
    during = await lying_there(harness)
    await harness.store.update(REF, finishing(), base=running)
    await harness.log.end(REF, turn_of(running), TurnEnd(outcome=Outcome.FINISHED))
    after = await lying_there(harness)

    assert during.keys() == after.keys() == wanted.keys()
    [(state, (kind, left))] = empty.items()
    assert (kind, within(left, wanted[state][1][1])) == ("list", True)
    for stage, found in enumerate((during, after)):
        for name, (kind, left) in found.items():
            stays = wanted[name][1]
            assert kind == wanted[name][0]
            assert within(left, stays[stage if kind == "stream" else 0])


def within(left: timedelta, stay: timedelta) -> bool:
    return stay - LENIENCY < left <= stay


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


def test_the_documented_commands_are_those_the_scripts_run() -> None:
    known = {name: one for name, one in vars(scripts).items() if isinstance(one, Script)}
    run = set().union(*(commands_in(one) for one in known.values()))

    assert known.keys() >= {"SPLICE", "APPEND", "END", "STOP", "READ"}
    assert run - documented_commands() == set()


@pytest.fixture(scope="module")
def guarded() -> Iterator[RedisProcess]:
    """A server whose only user may do what the page says, on the keys that it says."""
    granted = " ".join(f"+{command}" for command in sorted(documented_commands()))
    user = f"chat on nopass ~conversation:state:* ~{{conversation:state:* -@all {granted}"
    with redis_process(embedded_binary(), "--user", *user.split()) as server:
        yield server


async def test_a_user_with_these_commands_on_these_keys_can_do_everything(
    guarded: RedisProcess,
) -> None:
    url = guarded.url.replace("//", "//chat:any@")
    async with redis_harness(url, RING) as ours:
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

        assert ours.telemetry.events == []
        for forbidden in (("KEYS", "*"), ("FLUSHALL",), ("SET", "other", "1"), ("MONITOR",)):
            assert await ours.client.query_if_allowed(*forbidden) is None
