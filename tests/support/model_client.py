"""A client of ``model_server``: prompts, timeouts and whole replies."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from adapters.language_model.chat_completions import ChatCompletions
from adapters.language_model.model_check import model_findings
from adapters.language_model.model_server import ModelServer, Timeouts, open_connection
from domain.model.piece import ModelFinished, ModelPiece
from domain.model.prompt import Prompt
from ports.clock import Clock
from ports.findings import Finding
from ports.telemetry import Telemetry
from tests.support.builders import a_message
from tests.support.clocks import HastyClock
from tests.support.fakes import RecordingTelemetry

KEY = "sk-planted-key"
QUESTION = "a planted question"
PROMPT = Prompt(
    system="Be brief.", messages=(a_message(text=QUESTION),), locale="en", reply_tokens=64
)
LONG = timedelta(hours=1)
SHORT = timedelta(milliseconds=30)


def timeouts(
    *, connect: timedelta = LONG, first_piece: timedelta = LONG, silence: timedelta = LONG
) -> Timeouts:
    return Timeouts(connect=connect, first_piece=first_piece, silence=silence)


@asynccontextmanager
async def model_at(
    url: str,
    limits: Timeouts | None = None,
    *,
    clock: Clock | None = None,
    key: str | None = KEY,
    telemetry: Telemetry | None = None,
    **members: Any,
) -> AsyncIterator[ChatCompletions]:
    server = a_model_server(url, timeouts=limits or timeouts(), api_key=key, **members)
    async with open_connection(server) as connection:
        yield ChatCompletions(
            connection=connection,
            server=server,
            clock=clock or HastyClock(),
            telemetry=telemetry or RecordingTelemetry(),
        )


def a_model_server(url: str, **members: Any) -> ModelServer:
    """The model ``small-1`` at ``url``, with other ``members`` than the usual ones."""
    usual = {"name": "small-1", "timeouts": timeouts(), "api_key": KEY}
    return ModelServer(base_url=url, **{**usual, **members})


async def collect_reply(
    model: ChatCompletions, prompt: Prompt = PROMPT
) -> list[ModelPiece | ModelFinished]:
    async with asyncio.timeout(20):
        return [item async for item in model.reply(prompt)]


async def findings_at(url: str, **members: Any) -> list[Finding]:
    server = a_model_server(url, **members)
    async with asyncio.timeout(20):
        return await model_findings(server, HastyClock(), PROMPT.reply_tokens)


async def finding_at(url: str, **members: Any) -> Finding:
    """The only finding of the check of the model at ``url``."""
    [finding] = await findings_at(url, **members)
    assert finding.topic == "model"
    return finding
