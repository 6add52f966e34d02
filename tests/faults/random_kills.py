"""Several users and processes, one Redis, and random kills: every acknowledged turn survives.

    just faults -- --kills 1000 --seed 7
    just faults -- --kills 10 --redis-every 2

Each user sends one message after the other, each with its own Idempotency-Key, and repeats it to
any process until it is acknowledged. Meanwhile processes and Redis (appendfsync always) are killed
and started again. Afterwards every acknowledged turn must be stored exactly once and in order,
every conversation must accept another turn, and every key must have a time to live.

With ``--redis-every``, Redis restarts all the time, even while the users finish: it runs for nine
tenths of that many seconds and is down for one tenth. Otherwise only processes are killed.
"""

import argparse
import asyncio
import random
import secrets
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from http import HTTPStatus
from typing import Final

from attrs import Factory, define, frozen
from redis.asyncio import Redis

from tests.faults.conftest import DURABLE
from tests.support.fleet import Fleet
from tests.support.instructed_model import instructed_model_server
from tests.support.native_client import NativeClient, eventually
from tests.support.processes import ServerProcess
from tests.support.redis_servers import RedisProcess, embedded_binary, redis_process
from tests.support.retrying_users import AcknowledgedConversation, RetryingUser

_TIMEOUT: Final = 60
_SHARE_UP: Final = 0.9
"""For which part of the time Redis runs if it restarts all the time."""


@frozen(kw_only=True)
class Plan:
    """What a run does.

    Attributes:
        only_redis: kill only Redis, never a process.
        redis_every: kill only processes, and restart Redis after this many seconds throughout; None
            for a Redis that is killed at random moments.
        pause: mean time between two kills, in seconds.
    """

    seed: int
    kills: int
    only_redis: bool = False
    redis_every: float | None = None
    processes: int = 3
    users: int = 12
    pause: float = 0.3


@frozen(kw_only=True)
class Result:
    """The outcome of a run.

    Attributes:
        lost: acknowledged questions that are not stored.
        duplicated: users with a turn that is stored twice or out of order.
        stuck: users whose conversation accepts no further turn.
        without_ttl: keys without a time to live.
        model_called_again: acknowledged turns with more than one request to the model. That is only
            correct if a process died before the first piece: such a turn has failed.
    """

    acknowledged: int
    outcomes: Counter[str]
    lost: list[str]
    duplicated: list[str]
    stuck: list[str]
    without_ttl: list[str]
    model_called_again: list[str]
    killed_processes: int

    def lines(self) -> list[str]:
        """The report."""
        counts = {
            "acknowledged turns": self.acknowledged,
            "of these, lost": len(self.lost),
            "stored twice, or out of order": len(self.duplicated),
            "conversations that accept no further turn": len(self.stuck),
            "keys without a time to live": len(self.without_ttl),
            "killed processes": self.killed_processes,
            "turns with a second request to the model": len(self.model_called_again),
        }
        return [*(f"{count:6} {name}" for name, count in counts.items()), f"{dict(self.outcomes)}"]

    @property
    def is_correct(self) -> bool:
        wrongly_called_again = self.model_called_again and not self.killed_processes
        return not (
            self.lost or self.duplicated or self.stuck or self.without_ttl or wrongly_called_again
        )


@define
class Service:
    """The running processes of the service."""

    fleet: Fleet
    running: list[ServerProcess] = Factory(list)
    killed: int = 0

    @property
    def urls(self) -> list[str]:
        return [process.url for process in self.running]

    async def replace(self, victim: ServerProcess) -> None:
        self.killed += 1
        victim.kill()
        await victim.wait()
        self.running[self.running.index(victim)] = await self.fleet.start()


async def run(plan: Plan) -> Result:
    """Carry out the plan."""
    rng = random.Random(plan.seed)
    async with AsyncExitStack() as stack:
        redis = stack.enter_context(redis_process(embedded_binary(), *DURABLE))
        model = await stack.enter_async_context(instructed_model_server())
        processes = await stack.enter_async_context(AsyncExitStack())
        service = Service(Fleet(redis.url, model, processes))
        starting = (service.fleet.start() for _ in range(plan.processes))
        service.running += await asyncio.gather(*starting)
        outcomes: Counter[str] = Counter()
        users = [
            RetryingUser(f"p{number}", await _client_key(service), random.Random(number), outcomes)
            for number in range(plan.users)
        ]
        over = asyncio.Event()
        tasks = [asyncio.create_task(_send_until(over, user, service)) for user in users]
        async with _restarting(redis, plan.redis_every):
            for _ in range(plan.kills):
                await asyncio.sleep(rng.uniform(0, 2 * plan.pause))
                await _kill(rng, service, redis, plan)
            over.set()
            done, waiting = await asyncio.wait(tasks, timeout=_TIMEOUT)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*done)
            can_continue = await asyncio.gather(*(_can_continue(user, service) for user in users))
        stuck = [user.name for user, can in zip(users, can_continue, strict=True) if not can]
        return await _result(users, service, redis, outcomes, stuck)


@asynccontextmanager
async def _restarting(redis: RedisProcess, every: float | None) -> AsyncIterator[None]:
    """Meanwhile, Redis is killed and started again after every ``every`` seconds."""

    async def restart(seconds: float) -> None:
        while not await _is_set_within(over, seconds * _SHARE_UP):
            redis.kill()
            await asyncio.sleep(seconds * (1 - _SHARE_UP))
            await asyncio.to_thread(redis.start)

    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        if every is not None:
            group.create_task(restart(every))
        yield
        over.set()


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


async def _client_key(service: Service) -> str:
    answer = await NativeClient(service.urls[0]).post("/api/client-key", {})
    return str(answer.document["clientKey"])


async def _send_until(over: asyncio.Event, user: RetryingUser, service: Service) -> None:
    while not over.is_set():
        await user.send_next(service)


async def _kill(rng: random.Random, service: Service, redis: RedisProcess, plan: Plan) -> None:
    if plan.only_redis or (plan.redis_every is None and rng.random() < 0.5):
        redis.kill()
        await asyncio.sleep(rng.uniform(0, 0.2))
        await asyncio.to_thread(redis.start)
    else:
        await service.replace(rng.choice(service.running))


async def _result(
    users: list[RetryingUser],
    service: Service,
    redis: RedisProcess,
    outcomes: Counter[str],
    stuck: list[str],
) -> Result:
    client = NativeClient(service.urls[0])

    async def is_ready() -> bool:
        return (await client.get("/health/ready")).status == HTTPStatus.OK

    await eventually(is_ready)
    lost: list[str] = []
    duplicated: list[str] = []
    for user in users:
        for conversation in user.conversations:
            stored = await user.stored_turns(conversation, service)
            questions = [question for question, _ in stored]
            lost += [question for question, _ in conversation.turns if question not in questions]
            in_order = [turn for turn in stored if turn in conversation.turns] == conversation.turns
            if not in_order or len(set(questions)) != len(questions):
                duplicated.append(user.name)
    async with Redis.from_url(redis.url) as direct:
        without_ttl = [str(key) for key in await direct.keys("*") if await direct.pttl(key) < 0]
    conversations = [conversation for user in users for conversation in user.conversations]
    return Result(
        acknowledged=sum(len(conversation.turns) for conversation in conversations),
        outcomes=outcomes,
        lost=lost,
        duplicated=duplicated,
        stuck=stuck,
        without_ttl=without_ttl,
        model_called_again=_called_again(conversations, service),
        killed_processes=service.killed,
    )


def _called_again(conversations: list[AcknowledgedConversation], service: Service) -> list[str]:
    requests = service.fleet.model.requests
    questions = [question for one in conversations for question, _ in one.turns]
    names = [question.split()[1] for question in questions]
    return [name for name in names if requests[name] != 1]


async def _can_continue(user: RetryingUser, service: Service) -> bool:
    try:
        async with asyncio.timeout(_TIMEOUT):
            await user.send_next(service)
    except TimeoutError:
        return False
    return True


def main() -> None:
    """Run from the command line, and print the result."""
    parser = argparse.ArgumentParser(prog="just faults --")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--redis-every", type=float, metavar="SECONDS")
    options = parser.parse_args([argument for argument in sys.argv[1:] if argument != "--"])
    print(f"seed {options.seed}, {options.kills} kills", flush=True)  # noqa: T201
    plan = Plan(seed=options.seed, kills=options.kills, redis_every=options.redis_every)
    result = asyncio.run(run(plan))
    for line in result.lines():
        print(line)  # noqa: T201
    sys.exit(0 if result.is_correct else 1)


if __name__ == "__main__":
    main()
