"""Clients from PyPI, unmodified: each program in ``python/`` uses one of them in every way."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.sources import ROOT
from tests.support.client_suites import check, results_of, service_with_scenario_model
from tools.client_table import PAGE, documented_rows

PROGRAMS: Final = Path(__file__).parent / "python"
ENVIRONMENTS: Final = Path(__file__).parents[2] / ".clients"
OWN: Final = {
    "openai_sdk.py": ["openai"],
    "agents_sdk.py": ["openai-agents"],
    "open_webui.py": ["open-webui"],
}
"""Programs that need no more than the other tests, and their clients."""
HEAVY: Final = {
    "agno_agent.py": ["agno"],
    "haystack_generators.py": ["haystack-ai"],
    "instructor_client.py": ["instructor"],
    "langchain_chat.py": ["langchain-openai"],
    "langgraph_agent.py": ["langgraph"],
    "litellm_calls.py": ["litellm"],
    "llama_index_llms.py": ["llama-index-llms-openai", "llama-index-llms-openai-like"],
    "llm_models.py": ["llm"],
    "pydantic_agent.py": ["pydantic-ai"],
    "smolagents_model.py": ["smolagents"],
}
"""Programs that run in an environment of their own."""
REQUIRED: Final = os.environ.get("PRIVITY_TEST_CLIENTS") == "required"
HOW: Final = "needs the clients from PyPI: just install-clients"


def interpreter_for(program: str) -> Path:
    """The Python of the environment that has the program's packages."""
    name = "llama_index" if program.startswith("llama_index") else "clients"
    interpreter = ENVIRONMENTS / name / "bin" / "python"
    if not interpreter.exists():
        pytest.fail(HOW) if REQUIRED else pytest.skip(HOW)
    return interpreter


@pytest.mark.parametrize("program", OWN)
async def test_a_client_works_as_the_table_says(program: str) -> None:
    async with service_with_scenario_model() as service:
        results = await results_of(sys.executable, program, service=service, folder=PROGRAMS)

    assert {result.client for result in results} == {*OWN[program]}
    check("python", results)


@pytest.mark.parametrize("program", HEAVY)
async def test_a_framework_works_as_the_table_says(program: str) -> None:
    interpreter = interpreter_for(program)
    async with service_with_scenario_model() as service:
        results = await results_of(interpreter, program, service=service, folder=PROGRAMS)

    assert {result.client for result in results} == {*HEAVY[program]}
    check("python", results)


async def test_the_recipe_for_langchain_runs() -> None:
    interpreter = interpreter_for("langchain")
    recipe = ROOT / "examples" / "langchain_conversation.py"
    async with service_with_scenario_model() as service:
        process = await asyncio.create_subprocess_exec(
            *(interpreter, recipe),
            stdout=PIPE,
            stderr=PIPE,
            env={**os.environ, "PRIVITY_URL": service.url, "PRIVITY_CLIENT_KEY": service.key},
        )
        out, err = await process.communicate()

    assert (process.returncode, err) == (0, b"")
    assert out.count(b"user: My favourite colour is teal.") > 1


def test_every_program_is_run() -> None:
    programs = {path.name for path in PROGRAMS.glob("*.py")}

    assert {*OWN, *HEAVY} == programs - {"scenarios.py"}


def test_exactly_these_clients_are_in_the_table() -> None:
    found = {row.split("`")[1] for row in documented_rows("python", PAGE.read_text("utf-8"))}

    assert found == {client for clients in (OWN | HEAVY).values() for client in clients}
