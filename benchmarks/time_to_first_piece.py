"""How much later the first piece of a reply comes through Privity than straight from the model.

    python benchmarks/time_to_first_piece.py MODEL_BASE_URL MODEL_NAME PRIVITY_URL [ROUNDS]

Both ways are asked in turns, in random order, with the same system prompt and new questions, so
that neither finds the other's prompt in the model server's cache.
"""
# ruff: noqa: INP001 - a script

import asyncio
import json
import random
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp

from adapters.assistant_profile.toml_file import NEUTRAL

Way = Callable[[str], Awaitable[tuple[float, float]]]


def _question(number: int) -> str:
    return f"Question {number} of {random.random()}: name one city in one short sentence."  # noqa: S311 - only to be new


async def _timed(
    session: aiohttp.ClientSession, url: str, body: object, mark: bytes
) -> tuple[float, float]:
    """Seconds to the first event that holds ``mark``, and to the end."""
    began, first = time.perf_counter(), 0.0
    async with session.post(url, json=body) as response:
        assert response.status == 200, await response.text()
        async for line in response.content:
            if not first and mark in line:
                first = time.perf_counter() - began
    return first, time.perf_counter() - began


@asynccontextmanager
async def _ways(model_url: str, name: str, privity_url: str) -> AsyncIterator[dict[str, Way]]:
    language = "Answer in the language with the tag en, unless the user writes in another."
    system = {"role": "system", "content": f"{NEUTRAL.system_prompt}\n\n{language}"}
    async with aiohttp.ClientSession() as session:

        async def straight(text: str) -> tuple[float, float]:
            said = [system, {"role": "user", "content": text}]
            body = {"model": name, "messages": said, "stream": True, "max_tokens": 48}
            return await _timed(session, f"{model_url}/chat/completions", body, b'"content"')

        async def privity(text: str) -> tuple[float, float]:
            return await _timed(
                session, f"{privity_url}/api/chat", {"message": text}, b"text-delta"
            )

        yield {"straight": straight, "privity": privity}


async def main(model_url: str, name: str, privity_url: str, rounds: str = "10") -> None:
    figures: dict[str, list[tuple[float, float]]] = {"straight": [], "privity": []}
    async with _ways(model_url, name, privity_url) as ways:
        for number in range(int(rounds) + 1):
            for way in random.sample(sorted(ways), 2):
                took = await ways[way](_question(number))
                if number:  # the first round only warms up
                    figures[way].append(took)
    medians = {way: statistics.median(first for first, _ in rows) for way, rows in figures.items()}
    print(json.dumps({"median seconds to the first piece": medians}, indent=1))
    print(f"privity / straight: {medians['privity'] / medians['straight']:.3f}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
