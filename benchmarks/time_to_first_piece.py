"""The time to the first piece of a reply, through Privity and directly from the model server.

    python benchmarks/time_to_first_piece.py MODEL_BASE_URL MODEL_NAME PRIVITY_URL [ROUNDS]

Each round sends a request both ways, in random order, with the same system prompt and a new
question, so that the model server never has the whole prompt in its cache.
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

Ask = Callable[[str], Awaitable[tuple[float, float]]]
"""Sends a question; returns the seconds to the first piece and to the end."""


def _question(number: int) -> str:
    return f"Question {number} of {random.random()}: name one city in one short sentence."  # noqa: S311 - makes it new


async def _measure(
    session: aiohttp.ClientSession, url: str, body: object, mark: bytes
) -> tuple[float, float]:
    """The seconds to the first line that contains ``mark``, and to the end."""
    start, first = time.perf_counter(), 0.0
    async with session.post(url, json=body) as response:
        assert response.status == 200, await response.text()
        async for line in response.content:
            if not first and mark in line:
                first = time.perf_counter() - start
    return first, time.perf_counter() - start


@asynccontextmanager
async def _ways(model_url: str, name: str, privity_url: str) -> AsyncIterator[dict[str, Ask]]:
    language = "Answer in the language with the tag en, unless the user writes in another."
    system = {"role": "system", "content": f"{NEUTRAL.system_prompt}\n\n{language}"}
    async with aiohttp.ClientSession() as session:

        async def direct(text: str) -> tuple[float, float]:
            messages = [system, {"role": "user", "content": text}]
            body = {"model": name, "messages": messages, "stream": True, "max_tokens": 48}
            return await _measure(session, f"{model_url}/chat/completions", body, b'"content"')

        async def privity(text: str) -> tuple[float, float]:
            return await _measure(
                session, f"{privity_url}/api/chat", {"message": text}, b"text-delta"
            )

        yield {"direct": direct, "privity": privity}


async def main(model_url: str, name: str, privity_url: str, rounds: str = "10") -> None:
    results: dict[str, list[tuple[float, float]]] = {"direct": [], "privity": []}
    async with _ways(model_url, name, privity_url) as ways:
        for number in range(int(rounds) + 1):
            for way in random.sample(sorted(ways), 2):
                seconds = await ways[way](_question(number))
                if number:  # the first round only warms up
                    results[way].append(seconds)
    medians = {way: statistics.median(first for first, _ in rows) for way, rows in results.items()}
    print(json.dumps({"median seconds to the first piece": medians}, indent=1))
    print(f"privity / direct: {medians['privity'] / medians['direct']:.3f}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
