"""Interleaved rounds: what is compared runs in turns, in random order, in the same minute.

The machine may be shared. So a ratio is taken within a round, where both sides met the same
neighbours, and the median over the rounds counts, with its quartiles beside it.
"""
# ruff: noqa: INP001 - imported by scripts

import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from attrs import frozen

Work = Callable[[int, Callable[[], bool]], Awaitable[int]]
"""What one caller, numbered, does until it is told to stop; how often it did it."""


@frozen
class Contender:
    """One way to do the work; ``prepare`` runs before each of its rounds, off the clock."""

    name: str
    work: Work
    prepare: Callable[[], Awaitable[None]]


@frozen
class Round:
    """What one contender did in one round.

    Attributes:
        rate: times a second.
        cpu: microseconds of this process for each, all threads; steadier than the rate.
    """

    rate: float
    cpu: float


Rounds = Mapping[str, Sequence[Round]]
"""Per contender, round by round."""


async def rates_of(
    contenders: Sequence[Contender], *, callers: int, rounds: int, seconds: float
) -> Rounds:
    """The first round only warms up; before it every caller has its connection."""
    found: dict[str, list[Round]] = {one.name: [] for one in contenders}
    for one in contenders:
        await one.prepare()
        await asyncio.gather(*(one.work(caller, _twice()) for caller in range(callers)))
    for number in range(rounds + 1):
        for one in random.sample(contenders, len(contenders)):
            await one.prepare()
            took = await _round(one.work, callers, seconds)
            if number:
                found[one.name].append(took)
    return found


async def _round(work: Work, callers: int, seconds: float) -> Round:
    began, cpu = time.perf_counter(), time.process_time()
    goes_on = _until(began + seconds)
    count = sum(await asyncio.gather(*(work(caller, goes_on) for caller in range(callers))))
    cpu = time.process_time() - cpu
    return Round(count / (time.perf_counter() - began), cpu * 1e6 / count)


def _twice() -> Callable[[], bool]:
    left = iter((True, True))
    return lambda: next(left, False)


def _until(end: float) -> Callable[[], bool]:
    return lambda: time.perf_counter() < end


def table(found: Rounds, ours: str, wanted: Mapping[str, float], unit: str) -> str:
    """The rows for docs/performance.md."""
    lines = [
        f"| | {unit} | CPU µs each | its CPU over ours | our rate over its | quartiles | wanted |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, rounds in found.items():
        rate = statistics.median(one.rate for one in rounds)
        cpu = statistics.median(one.cpu for one in rounds)
        cells = [name, f"{rate:,.0f}", f"{cpu:,.0f}"]
        cells += [""] * 4 if name == ours else _compared(found[ours], rounds, wanted.get(name))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _compared(ours: Sequence[Round], other: Sequence[Round], wanted: float | None) -> list[str]:
    cpu = statistics.median(two.cpu / one.cpu for one, two in zip(ours, other, strict=True))
    ratios = [one.rate / two.rate for one, two in zip(ours, other, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return [
        f"{cpu:.1f}",
        f"{middle:.2f}",
        f"{low:.2f} to {high:.2f}",
        "" if wanted is None else f"{wanted:g}",
    ]


async def nothing() -> None:
    """For contenders that need no preparation."""
