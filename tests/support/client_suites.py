"""Programs that use a client's packages against a running Privity, and report what worked."""

import asyncio
import os
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from attrs import frozen

from entrypoints.http.problems import PROBLEM_TYPES
from tests.support.model_server import model_server
from tests.support.native_client import NativeClient
from tests.support.processes import serving
from tests.support.scenario_model import scenario_reply
from tools.client_table import (
    FOLDER_VARIABLE,
    PAGE,
    Result,
    documented_rows,
    report,
    results_in,
    rows,
)

_TIMEOUT_SECONDS = 180
_OFFLINE = {
    "AGNO_TELEMETRY": "false",
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}
"""Keeps packages from reporting their use and from downloading prices."""


@frozen(kw_only=True)
class Service:
    """A Privity process whose model shows what it was sent."""

    url: str
    key: str

    @property
    def environment(self) -> Mapping[str, str]:
        """What a program needs to know."""
        return {"BASE_URL": f"{self.url}/v1", "API_KEY": self.key}


@asynccontextmanager
async def service_with_scenario_model(**settings: str) -> AsyncIterator[Service]:
    """``privity serve``, without a Redis server, and with a model server over HTTP."""
    async with (
        model_server(respond=scenario_reply) as model,
        serving(
            MODEL_BASE_URL=model.url,
            MODEL_NAME="clerk",
            MODEL_CONTEXT_TOKENS="32000",
            PRIVITY_LIMITS="off",
            PRIVITY_V1="open",
            **settings,
        ) as process,
    ):
        answer = await NativeClient(process.url).post("/api/client-key", {})
        yield Service(url=process.url, key=answer.document["clientKey"])


async def results_of(*command: str | Path, service: Service, folder: Path) -> list[Result]:
    """Run a program in ``folder``; returns the results that it printed."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        stdout=PIPE,
        stderr=PIPE,
        cwd=folder,
        env={**os.environ, **_OFFLINE, **service.environment},
    )
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()[-4_000:]
    return results_in(out.decode().splitlines())


def check(language: str, results: list[Result]) -> None:
    """Fail unless each scenario works or is refused by name, as the table says.

    When ``tools/client_table.py`` runs the suites, they save the results for the table instead.
    """
    failures = [result for result in results if result.failed]
    assert not failures, "\n".join(f"{one.api}, {one.scenario}: {one.outcome}" for one in failures)
    assert {one.refusal for one in results} - {None} <= set(PROBLEM_TYPES)
    if folder := os.environ.get(FOLDER_VARIABLE):
        report(language, results, folder=Path(folder))
        return
    page = PAGE.read_text("utf-8")
    for client in {result.client for result in results}:
        found = rows([result for result in results if result.client == client])
        assert found == documented_rows(language, page, client), "run: just clients"
