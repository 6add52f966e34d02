"""Runs the scenarios of a client, and prints how each of them went as a line of JSON."""

import asyncio
import inspect
import json
import os
import traceback
from importlib.metadata import version

ORDER = ("text", "system", "turns", "stream", "tools", "structured", "error")
BASE_URL = os.environ["BASE_URL"]
API_KEY = os.environ["API_KEY"]
WRONG_KEY = "sk-of-somebody-else"
MODEL = "any"

# The model calls the tool with the city Rome, and repeats its result.
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
FOUND = "The tool says: sunny in Rome"

# The model answers each request for structured output with this.
CITY, DEGREES = "Rome", 21

# Longer than a message may be.
TOO_LONG = "long " * 1_700


def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


def includes(reply: str, *texts: str) -> None:
    """Every text must be in the reply, which repeats what the model was sent."""
    for text in texts:
        assert text in reply, f"{text!r} is not in {reply!r}"


def fails(call, kind: type[Exception], *texts: str) -> None:
    """The call must raise an error of the client's own kind, which shows these texts."""
    try:
        call()
    except kind as error:
        includes(_everything_in(error), *texts)
    else:
        raise AssertionError("the call did not fail")


async def fails_async(awaitable, kind: type[Exception], *texts: str) -> None:
    try:
        await awaitable
    except kind as error:
        includes(_everything_in(error), *texts)
    else:
        raise AssertionError("the call did not fail")


def _everything_in(error: Exception) -> str:
    return f"{error} {getattr(error, 'body', '')}"


def play(*, client: str, api: str, scenarios, package: str = "", release: str = "") -> None:
    """Run each of the scenarios; it returns None if all works, or the code of a refusal."""
    for name in ORDER:
        if not hasattr(scenarios, name):
            continue
        result = {
            "client": client,
            "version": release or version(package or client),
            "api": api,
            "scenario": name,
            "outcome": _outcome(getattr(scenarios, name)),
        }
        print(json.dumps(result), flush=True)


def _outcome(scenario) -> str:
    try:
        refusal = scenario()
        if inspect.isawaitable(refusal):
            refusal = asyncio.run(refusal)
    except Exception:  # noqa: BLE001 - every failure is reported
        return f"fails: {traceback.format_exc()}"
    return "works" if refusal is None else f"refused: {refusal}"
