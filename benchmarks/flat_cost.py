"""What each turn costs while a conversation grows, as a plot.

    python benchmarks/flat_cost.py [TURNS] [FILE]

One person talks with ``privity serve``, which stores the conversation in Redis. The model replies
at once; its server counts the tokens of each prompt with a real tokenizer. The CPU time is that of
the process of the service: requests, store, summaries and replies. The plot is written to FILE.
"""
# ruff: noqa: INP001 - a script

import asyncio
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeAlias

from attrs import frozen
from servers import redis_server

from adapters.assistant_profile.toml_file import NEUTRAL
from tests.support.counting_model import CountingModel
from tests.support.long_run import some_words
from tests.support.model_server import model_server
from tests.support.native_client import NativeClient
from tests.support.processes import serving
from tests.support.redis_store import RING

BATCH: Final = 20
"""How many turns are measured together."""

WINDOW: Final = 4_096
REPLY_TOKENS: Final = 512


Points: TypeAlias = Sequence[tuple[float, float]]
"""Values over the number of messages in the conversation."""


@frozen(kw_only=True)
class Costs:
    """What the turns cost.

    Attributes:
        milliseconds: CPU time of a turn, the average of each batch.
        tokens: of the prompt of each turn.
    """

    milliseconds: Points
    tokens: Points


def _cpu_seconds(pid: int) -> float:
    """The CPU time of another process. Linux derives the number of its clock from its id."""
    return time.clock_gettime(~pid << 3 | 2)


async def _measure(turns: int) -> Costs:
    model = CountingModel(
        system_prompt=NEUTRAL.system_prompt, window=WINDOW, filler=some_words(0, 80)
    )
    with redis_server() as port:
        async with (
            model_server(respond=model) as server,
            serving(
                MODEL_BASE_URL=server.url,
                MODEL_NAME="counting",
                MODEL_CONTEXT_TOKENS=str(WINDOW),
                MODEL_REPLY_TOKENS=str(REPLY_TOKENS),
                PRIVITY_KEYS=RING,
                PRIVITY_LIMITS="off",
                REDIS_URL=f"redis://127.0.0.1:{port}/0",
            ) as service,
        ):
            milliseconds = await _talk(NativeClient(service.url), service.pid, turns)
    assert not model.refused
    tokens = [served.prompt_tokens for served in model.replies]
    return Costs(
        milliseconds=milliseconds,
        tokens=[(2 * number, count) for number, count in enumerate(tokens, 1)],
    )


async def _talk(client: NativeClient, service_pid: int, turns: int) -> Points:
    milliseconds: list[tuple[float, float]] = []
    session_id = None
    for first in range(0, turns, BATCH):
        start = _cpu_seconds(service_pid)
        for number in range(first, first + BATCH):
            answer = await client.send(some_words(number, 80), session_id)
            assert answer.status == 200, answer.body
            session_id = answer.session_id
        seconds = _cpu_seconds(service_pid) - start
        milliseconds.append((2 * (first + BATCH), seconds * 1_000 / BATCH))
    return milliseconds


def _panel(title: str, points: Points, top: int) -> str:
    """A plot of these points above an x axis with the number of messages."""
    width, height, left = 620, 150, 70
    most_x, most_y = points[-1][0], max(y for _, y in points) * 1.15
    at = [(left + x / most_x * width, top + height - y / most_y * height) for x, y in points]
    highest = f"{most_y:,.{0 if most_y > 100 else 1}f}"
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
    ticks = [
        f'<text x="{left + share * width:.0f}" y="{top + height + 18}" class="quiet" '
        f'text-anchor="middle">{most_x * share:,.0f}</text>'
        for share in (0, 0.25, 0.5, 0.75, 1)
    ]
    return "\n  ".join(
        [
            f'<text x="{left}" y="{top - 10}" class="ink title">{title}</text>',
            f'<path d="M{left} {top}V{top + height}H{left + width}" class="axis"/>',
            f'<text x="{left - 8}" y="{top + 10}" class="quiet" text-anchor="end">{highest}</text>',
            f'<text x="{left - 8}" y="{top + height}" class="quiet" text-anchor="end">0</text>',
            *ticks,
            f'<polyline points="{line}" class="line"/>',
        ]
    )


def _plot(costs: Costs) -> str:
    panels = (
        _panel("CPU time of the service for one turn, in milliseconds", costs.milliseconds, 40),
        _panel("Tokens of each prompt, counted by the model's server", costs.tokens, 260),
    )
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 470" \
font-family="system-ui, sans-serif" font-size="14" role="img" \
aria-label="The cost of a turn does not grow with the conversation">
  <style>.ink{{fill:#1d2430}}.quiet{{fill:#566072;font-size:12px}}.title{{font-weight:650}}\
.axis{{stroke:#8b93a3;fill:none}}.line{{stroke:#2b5ea8;stroke-width:1.5;fill:none}}</style>
  <rect width="720" height="470" fill="#ffffff"/>
  {panels[0]}
  {panels[1]}
  <text x="380" y="455" class="quiet" text-anchor="middle">messages in the conversation</text>
</svg>
"""


def _row(name: str, points: Points, digits: int) -> str:
    """Averages of three tenths. In the first tenth the working memory is not yet full."""
    values, tenth = [value for _, value in points], max(len(points) // 10, 1)
    parts = [values[tenth:][:tenth], values[tenth * 5 :][:tenth], values[-tenth:]]
    means = [statistics.mean(part) for part in parts]
    cells = [f"{mean:,.{digits}f}" for mean in means]
    return f"| {name} | {' | '.join(cells)} | {means[2] / means[0]:.2f} |"


def main(turns: str = "1000", file: str = "docs/long_conversations.svg") -> None:
    costs = asyncio.run(_measure(int(turns)))
    Path(file).write_text(_plot(costs), encoding="utf-8")
    most = 2 * int(turns)
    counts = " | ".join(f"after {most * share // 10:,} messages" for share in (1, 5, 9))
    print(f"| average of one turn | {counts} | last / first |\n|---|---|---|---|---|")
    print(_row("CPU time of the service, ms", costs.milliseconds, 1))
    print(_row("tokens of the prompt", costs.tokens, 0))


if __name__ == "__main__":
    main(*sys.argv[1:])
