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


Rates = Mapping[str, Sequence[float]]
"""Per contender, what it did a second, round by round."""


async def rates_of(
    contenders: Sequence[Contender], *, callers: int, rounds: int, seconds: float
) -> Rates:
    """The first round only warms up."""
    rates: dict[str, list[float]] = {one.name: [] for one in contenders}
    for number in range(rounds + 1):
        for one in random.sample(contenders, len(contenders)):
            await one.prepare()
            rate = await _rate(one.work, callers, seconds)
            if number:
                rates[one.name].append(rate)
    return rates


async def _rate(work: Work, callers: int, seconds: float) -> float:
    began = time.perf_counter()
    goes_on = _until(began + seconds)
    counts = await asyncio.gather(*(work(caller, goes_on) for caller in range(callers)))
    return sum(counts) / (time.perf_counter() - began)


def _until(end: float) -> Callable[[], bool]:
    return lambda: time.perf_counter() < end


def ratios(rates: Rates, ours: str, other: str) -> list[float]:
    """Round by round, sorted."""
    return sorted(a / b for a, b in zip(rates[ours], rates[other], strict=True))


def table(rates: Rates, ours: str, wanted: Mapping[str, float], unit: str) -> str:
    """The rows for docs/performance.md."""
    lines = [f"| | {unit} | ours over it | quartiles | wanted |", "|---|---|---|---|---|"]
    for name, row in rates.items():
        cells = [name, f"{statistics.median(row):,.0f}"]
        cells += ["", "", ""] if name == ours else _compared(rates, ours, name, wanted.get(name))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _compared(rates: Rates, ours: str, other: str, wanted: float | None) -> list[str]:
    low, middle, high = statistics.quantiles(ratios(rates, ours, other), n=4)
    return [f"{middle:.2f}", f"{low:.2f} – {high:.2f}", "" if wanted is None else f"{wanted:g}"]


async def nothing() -> None:
    """For contenders that need no preparation."""
