"""Many people, several processes, one Redis, and kills at random: what was acknowledged is kept.

    just faults -- --kills 1000 --seed 7

Everybody says one message after the other, each under an Idempotency-Key of its own, and repeats it
at any process until it is acknowledged. Meanwhile processes and Redis (appendfsync always) are
killed and started again. Afterwards every acknowledged turn is there exactly once, in order, no
conversation is stuck, and no key is without an end.

How a run of kills at random goes, and what came out.
"""

import argparse
import asyncio
import random
import secrets
import sys
from collections import Counter
from contextlib import AsyncExitStack
from typing import Final

from attrs import Factory, define, frozen
from redis.asyncio import Redis

from tests.faults.conftest import LASTING
from tests.support.fleet import Fleet
from tests.support.native_client import NativeClient
from tests.support.ordered_model import ordered_model_server
from tests.support.processes import ServerProcess
from tests.support.redis_servers import RedisProcess, embedded_binary, redis_process
from tests.support.retrying_users import RetryingUser, Talk


@frozen(kw_only=True)
class Plan:
    """How the run goes."""

    seed: int
    kills: int
    spares_processes: bool = False
    processes: int = 3
    people: int = 12
    between: float = 0.3


@frozen(kw_only=True)
class Result:
    """What came out.

    Attributes:
        lost, doubled: acknowledged turns that are not there, or more than once, or out of order.
        stuck: conversations that took no further turn.
        endless: keys without an end of their stay.
        asked_again: acknowledged turns for which the model was asked more than once. It may only
            be when a process died before the first piece: such a turn has failed.
        deaths: how many processes were killed.
    """

    acknowledged: int
    outcomes: Counter[str]
    lost: list[str]
    doubled: list[str]
    stuck: list[str]
    endless: list[str]
    asked_again: list[str]
    deaths: int

    def lines(self) -> list[str]:
        """For people."""
        found = {
            "acknowledged turns": self.acknowledged,
            "of them lost": len(self.lost),
            "doubled or out of order": len(self.doubled),
            "stuck conversations": len(self.stuck),
            "keys without an end": len(self.endless),
            f"asked again, after {self.deaths} deaths of processes": len(self.asked_again),
        }
        return [*(f"{count:6} {what}" for what, count in found.items()), f"{dict(self.outcomes)}"]

    @property
    def is_good(self) -> bool:
        paid_twice = self.asked_again and not self.deaths
        return not (self.lost or self.doubled or self.stuck or self.endless or paid_twice)


_PATIENCE: Final = 120


@define
class Service:
    """The processes, which come and go."""

    fleet: Fleet
    running: list[ServerProcess] = Factory(list)
    deaths: int = 0

    @property
    def urls(self) -> list[str]:
        return [process.url for process in self.running]

    async def replace(self, victim: ServerProcess) -> None:
        self.deaths += 1
        victim.kill()
        await victim.ended()
        self.running[self.running.index(victim)] = await self.fleet.one()


async def run(plan: Plan) -> Result:
    """The whole run."""
    chance = random.Random(plan.seed)
    async with AsyncExitStack() as stack:
        redis = stack.enter_context(redis_process(embedded_binary(), *LASTING))
        ordered_model = await stack.enter_async_context(ordered_model_server())
        services = await stack.enter_async_context(AsyncExitStack())
        service = Service(Fleet(redis.url, ordered_model, services))
        service.running += await asyncio.gather(
            *(service.fleet.one() for _ in range(plan.processes))
        )
        outcomes: Counter[str] = Counter()
        speakers = [
            RetryingUser(f"p{number}", await _client_key(service), random.Random(number), outcomes)
            for number in range(plan.people)
        ]
        over = asyncio.Event()
        talking = [asyncio.create_task(_talk(speaker, service, over)) for speaker in speakers]
        for _ in range(plan.kills):
            await asyncio.sleep(chance.uniform(0, 2 * plan.between))
            await _kill(chance, service, redis, spares_processes=plan.spares_processes)
        over.set()
        # While Redis is killed all the time nobody can tell who is dead; once it is not, all go on.
        done, stuck = await asyncio.wait(talking, timeout=_PATIENCE)
        for task in stuck:
            task.cancel()
        await asyncio.gather(*done)
        return await _judged(speakers, service, redis, outcomes)


async def _client_key(service: Service) -> str:
    answer = await NativeClient(service.urls[0]).post("/api/client-key", {})
    return str(answer.document["clientKey"])


async def _talk(speaker: RetryingUser, service: Service, over: asyncio.Event) -> None:
    while not over.is_set():
        await speaker.speak(service)


async def _kill(
    chance: random.Random, service: Service, redis: RedisProcess, *, spares_processes: bool
) -> None:
    if spares_processes or chance.random() < 0.5:
        redis.kill()
        await asyncio.sleep(chance.uniform(0, 0.2))
        await asyncio.to_thread(redis.start)
    else:
        await service.replace(chance.choice(service.running))


async def _judged(
    speakers: list[RetryingUser], service: Service, redis: RedisProcess, outcomes: Counter[str]
) -> Result:
    stuck = [speaker.name for speaker in speakers if not await _speaks_on(speaker, service)]
    talks = [(speaker, talk) for speaker in speakers for talk in speaker.talks]
    lost: list[str] = []
    doubled: list[str] = []
    for speaker, talk in talks:
        kept = await speaker.kept(talk, service)
        lost += [asked for asked, _ in talk.acknowledged if asked not in dict(kept)]
        if [pair for pair in kept if pair in talk.acknowledged] != talk.acknowledged:
            doubled.append(speaker.name)
        if len(dict(kept)) != len(kept):
            doubled.append(speaker.name)
    async with Redis.from_url(redis.url) as looking:
        endless = [str(key) for key in await looking.keys("*") if await looking.pttl(key) < 0]
    return Result(
        acknowledged=sum(len(talk.acknowledged) for _, talk in talks),
        outcomes=outcomes,
        lost=lost,
        doubled=doubled,
        stuck=stuck,
        endless=endless,
        asked_again=[asked for _, talk in talks for asked in _asked_again(talk, service)],
        deaths=service.deaths,
    )


def _asked_again(talk: Talk, service: Service) -> list[str]:
    counts = service.fleet.ordered_model.asked
    names = [asked.split()[1] for asked, _ in talk.acknowledged]
    return [name for name in names if counts[name] != 1]


async def _speaks_on(speaker: RetryingUser, service: Service) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE):
            await speaker.speak(service)
    except TimeoutError:
        return False
    return True


def main() -> None:
    """Run it, and print what came out."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--kills", type=int, default=20)
    arguments.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    wanted = arguments.parse_args([said for said in sys.argv[1:] if said != "--"])
    print(f"seed {wanted.seed}, {wanted.kills} kills", flush=True)  # noqa: T201
    result = asyncio.run(run(Plan(seed=wanted.seed, kills=wanted.kills)))
    for line in result.lines():
        print(line)  # noqa: T201
    sys.exit(0 if result.is_good else 1)


if __name__ == "__main__":
    main()
