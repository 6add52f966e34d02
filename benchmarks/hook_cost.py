"""What a hook costs the service, as a share of the CPU time of a whole turn.

    python benchmarks/hook_cost.py [ROUNDS] [TREE]

Several ``privity serve`` processes, which store their conversations in one Redis, run one after the
other in each round, in random order. They differ only in their hook. If TREE is the directory of
another version of Privity, one more service without a hook runs from there. The CPU time is that of
the process of the service, which has a core of its own. Its Redis, the model, the hook and the
people who chat run in other processes.

The speed of a shared machine changes within seconds. So a round is short, there are many of them,
and the result is the ratio of the sums over all rounds, with its 95 % interval (bootstrap).
"""
# ruff: noqa: INP001 - a script

import asyncio
import os
import random
import statistics
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import web
from attrs import frozen
from servers import redis_server

from tests.support.hook_server import SECRET
from tests.support.model_server import DONE, delta, finished, used
from tests.support.native_client import NativeClient
from tests.support.processes import RUN, ServerProcess, serving
from tests.support.redis_store import RING

TURNS_OF_A_CONVERSATION: Final = 4
QUESTION: Final = "Which of the two parties wants to lower the tax on electricity, and by how much?"
PASSAGE: Final = "The committee recommends a lower tax on electricity for small businesses. " * 12

WARMING_UP: Final = 2
SAMPLES: Final = 1_000
WITHOUT_HOOK: Final = "no hook"
ANSWERS: Final[Mapping[str, Any]] = {
    "hook that answers `{}`": {},
    "hook with three passages and a state": {
        "passages": [
            {"title": f"Report {number}", "text": PASSAGE, "url": f"https://example.org/{number}"}
            for number in range(3)
        ],
        "state": {"phase": "comparing", "topics": ["tax", "energy"]},
    },
}


@frozen(kw_only=True)
class Load:
    """How people chat.

    Attributes:
        pieces: of each reply.
        per_second: pieces per second of each reply; None: all at once.
        people: who chat at the same time.
        turns: of each of them, in each round.
        share: of the rounds that this load gets.
    """

    name: str
    pieces: int
    per_second: int | None
    people: int
    turns: int
    share: float = 1.0

    @property
    def count(self) -> int:
        """The turns of one round."""
        return self.people * self.turns


LOADS: Final = (
    Load(name="20 pieces at once", pieces=20, per_second=None, people=1, turns=4),
    Load(name="200 pieces at once", pieces=200, per_second=None, people=1, turns=4),
    # These take six seconds each.
    Load(
        name="100 pieces, 20 per second", pieces=100, per_second=20, people=16, turns=1, share=0.04
    ),
)


def _cpu_seconds(pid: int) -> float:
    """The CPU time of another process. Linux derives the number of its clock from its id."""
    return time.clock_gettime(~pid << 3 | 2)


class Backend:
    """The model, and a hook for each of ``ANSWERS``."""

    def __init__(self) -> None:
        self.load = LOADS[0]

    async def reply(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        load = self.load
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        pieces = [delta(content=f"word{number % 10} ") for number in range(load.pieces)]
        end = (finished(), used(200, load.pieces), DONE)
        if load.per_second is None:
            await response.write(b"".join((*pieces, *end)))
            return response
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(1 / load.per_second)
        await response.write(b"".join(end))
        return response

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Serve; yields the URL."""
        app = web.Application(client_max_size=16_000_000)
        app.router.add_post("/v1/chat/completions", self.reply)
        for number, answer in enumerate(ANSWERS.values()):
            app.router.add_post(f"/hook/{number}", _answering(msgspec.json.encode(answer)))
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


def _answering(body: bytes) -> Any:
    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=body, content_type="application/json")

    return answer


async def _measure(rounds: int, tree: str | None) -> Mapping[str, Mapping[str, Sequence[float]]]:
    """Milliseconds of CPU per turn, by load and service."""
    results: dict[str, dict[str, list[float]]] = {}
    backend = Backend()
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(backend.running())
        services = await _services(stack, url, stack.enter_context(redis_server()), tree)
        for load in LOADS:
            backend.load = load
            times: dict[str, list[float]] = {name: [] for name in services}
            for number in range(round(rounds * load.share) + WARMING_UP):
                for name in random.sample(list(services), len(services)):
                    milliseconds = await _turns(services[name], load)
                    if number >= WARMING_UP:
                        times[name].append(milliseconds)
            results[load.name] = times
            print(_table(load.name, times), flush=True)
    return results


async def _services(
    stack: AsyncExitStack, url: str, redis_port: int, tree: str | None
) -> dict[str, ServerProcess]:
    common = {
        "MODEL_BASE_URL": f"{url}/v1",
        "MODEL_NAME": "benchmark",
        "PRIVITY_KEYS": RING,
        "PRIVITY_LIMITS": "off",
        "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
    }
    hooks = [
        {"PRIVITY_HOOK_URL": f"{url}/hook/{number}", "PRIVITY_HOOK_SECRET": SECRET}
        for number in range(len(ANSWERS))
    ]
    settings = dict(zip((WITHOUT_HOOK, *ANSWERS), ({}, *hooks), strict=True))
    services = {
        name: await stack.enter_async_context(serving(**common, **one))
        for name, one in settings.items()
    }
    if tree is not None:
        program = f"import sys; sys.path.insert(0, {tree!r}); {RUN}"
        other = await stack.enter_async_context(serving(program, **common))
        services["the other version"] = other
    for service in services.values():
        _bind(service.pid, core=0)
    os.sched_setaffinity(0, {1})
    return services


def _bind(pid: int, *, core: int) -> None:
    """Run all threads of the process on one core."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {core})


async def _turns(service: ServerProcess, load: Load) -> float:
    """Milliseconds of CPU per turn of one round."""
    start = _cpu_seconds(service.pid)
    await asyncio.gather(*(_chat(service.url, load) for _ in range(load.people)))
    return (_cpu_seconds(service.pid) - start) * 1_000 / load.count


async def _chat(url: str, load: Load) -> None:
    client, session_id = NativeClient(url), None
    for number in range(load.turns):
        if number % TURNS_OF_A_CONVERSATION == 0:
            session_id = None
        answer = await client.send(QUESTION, session_id)
        assert answer.status == 200, answer.body
        assert answer.body.count(b'"text-delta"') >= 1
        session_id = answer.session_id


def _table(load: str, times: Mapping[str, Sequence[float]]) -> str:
    """A table of what each service takes, and how much more than the one without a hook."""
    lines = [
        f"| {load} | CPU ms per turn | compared with no hook | 95 % interval |",
        "|---|---|---|---|",
    ]
    base = times[WITHOUT_HOOK]
    for name, one in times.items():
        cells = [name, f"{statistics.mean(one):.2f}", "", ""]
        if one is not base:
            low, high = _interval(one, base)
            cells[2:] = [_percent(sum(one) / sum(base)), f"{_percent(low)} to {_percent(high)}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _interval(one: Sequence[float], base: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of the ratio of the sums, from samples of the rounds."""
    pairs = list(zip(one, base, strict=True))
    ratios = []
    for _ in range(SAMPLES):
        mine, theirs = zip(*random.choices(pairs, k=len(pairs)), strict=True)  # noqa: S311 - statistics
        ratios.append(sum(mine) / sum(theirs))
    cuts = statistics.quantiles(ratios, n=40)
    return cuts[0], cuts[-1]


def _percent(ratio: float) -> str:
    return f"{(ratio - 1) * 100:+.1f} %"


def main(rounds: str = "400", tree: str | None = None) -> None:
    asyncio.run(_measure(int(rounds), tree))


if __name__ == "__main__":
    main(*sys.argv[1:])
