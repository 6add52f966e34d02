"""Clients from npm, unmodified: each program in ``node/`` uses one package in every way."""

from collections.abc import AsyncIterator
from typing import Final

import pytest

from tests.support.client_suites import Service, check, results_of, service_with_scenario_model
from tests.support.node import NODE_FOLDER, need_node
from tools.client_table import PAGE, documented_rows

PROVIDERS: Final = {
    "7": ("@ai-sdk/openai", "@ai-sdk/openai-compatible", "@ai-sdk/open-responses"),
    "6": ("@ai-sdk/openai", "@ai-sdk/openai-compatible", "@ai-sdk/open-responses"),
    "5": ("@ai-sdk/openai", "@ai-sdk/openai-compatible"),
}
"""The packages that connect each major version of ``ai`` to a server of OpenAI's protocols."""
PROGRAMS: Final[dict[str, set[str]]] = {
    "openai.mjs": {"openai"},
    "agents.mjs": {"@openai/agents"},
    "langchain.mjs": {"@langchain/openai"},
} | {
    f"ai-sdk-core.mjs {major}": {f"{provider}, ai {major}" for provider in providers}
    for major, providers in PROVIDERS.items()
}
"""The clients that each program uses, by its name and arguments."""


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    need_node()
    async with service_with_scenario_model() as service:
        yield service


@pytest.mark.parametrize("program", PROGRAMS)
async def test_a_client_works_as_the_table_says(service: Service, program: str) -> None:
    results = await results_of("node", *program.split(), service=service, folder=NODE_FOLDER)

    assert {result.client for result in results} == PROGRAMS[program]
    check("javascript", results)


def test_every_program_is_run() -> None:
    programs = {path.name for path in NODE_FOLDER.glob("*.mjs")}
    others = {"browser.mjs", "driver.mjs", "example.mjs", "scenarios.mjs"}

    assert {program.split()[0] for program in PROGRAMS} == programs - others


def test_exactly_these_clients_are_in_the_table() -> None:
    found = {row.split("`")[1] for row in documented_rows("javascript", PAGE.read_text("utf-8"))}

    assert found == set().union(*PROGRAMS.values())
