"""Interleaved rounds: in each round all contenders run one after the other, in random order.

The machine may be shared. So ratios are computed within a round, in which all contenders have the
same load. The result is the median over the rounds, with its quartiles.
"""
# ruff: noqa: INP001 - imported by scripts

import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from attrs import frozen

Work = Callable[[int, Callable[[], bool]], Awaitable[int]]
"""``work(caller, may_continue)`` repeats the work while ``may_continue()`` is true.

Returns the number of repetitions.
"""


@frozen
class Contender:
    """One way to do the work; ``prepare`` runs before each of its rounds and is not timed."""

    name: str
    work: Work
    prepare: Callable[[], Awaitable[None]]


@frozen
class Round:
    """The result of one contender in one round.

    Attributes:
        rate: units of work per second.
        cpu: CPU time of this process and all its threads per unit of work, in microseconds. It
            varies less than the rate.
    """

    rate: float
    cpu: float


Rounds = Mapping[str, Sequence[Round]]
"""The results by contender, in the order of the rounds."""


async def rates_of(
    contenders: Sequence[Contender], *, callers: int, rounds: int, seconds: float
) -> Rounds:
    """Run ``rounds`` rounds. Before them, one round only warms up and opens the connections."""
    results: dict[str, list[Round]] = {contender.name: [] for contender in contenders}
    for contender in contenders:
        await contender.prepare()
        await asyncio.gather(*(contender.work(caller, _twice()) for caller in range(callers)))
    for number in range(rounds + 1):
        for contender in random.sample(contenders, len(contenders)):
            await contender.prepare()
            result = await _round(contender.work, callers, seconds)
            if number:
                results[contender.name].append(result)
    return results


async def _round(work: Work, callers: int, seconds: float) -> Round:
    start, cpu = time.perf_counter(), time.process_time()
    may_continue = _until(start + seconds)
    count = sum(await asyncio.gather(*(work(caller, may_continue) for caller in range(callers))))
    cpu = time.process_time() - cpu
    return Round(count / (time.perf_counter() - start), cpu * 1e6 / count)


def _twice() -> Callable[[], bool]:
    left = iter((True, True))
    return lambda: next(left, False)


def _until(end: float) -> Callable[[], bool]:
    return lambda: time.perf_counter() < end


def table(results: Rounds, ours: str, goals: Mapping[str, float], unit: str) -> str:
    """The table for docs/performance.md; ``unit`` names one unit of work, in the singular."""
    measured = f"{unit}s/s | CPU µs per {unit}"
    lines = [
        (
            f"| | {measured} | CPU ÷ Privity's | Privity's rate ÷ theirs "
            "| quartiles of the rate's ratio | goal |"
        ),
        "|---|---|---|---|---|---|---|",
    ]
    for name, rounds in results.items():
        rate = statistics.median(one.rate for one in rounds)
        cpu = statistics.median(one.cpu for one in rounds)
        cells = [name, f"{rate:,.0f}", f"{cpu:,.0f}"]
        cells += [""] * 4 if name == ours else _ratios(results[ours], rounds, goals.get(name))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _ratios(ours: Sequence[Round], theirs: Sequence[Round], goal: float | None) -> list[str]:
    cpu = statistics.median(their.cpu / our.cpu for our, their in zip(ours, theirs, strict=True))
    rates = [our.rate / their.rate for our, their in zip(ours, theirs, strict=True)]
    low, middle, high = statistics.quantiles(rates, n=4)
    return [
        f"{cpu:.1f}",
        f"{middle:.2f}",
        f"{low:.2f} to {high:.2f}",
        "" if goal is None else f"{goal:g}",
    ]


async def nothing() -> None:
    """The preparation of contenders that need none."""
