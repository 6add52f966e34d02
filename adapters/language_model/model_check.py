"""Tries the model's server as the service uses it, and says in plain words what is wrong.

The models are listed first. Then one reply is requested, which ends at its first piece. Nothing of
a response is shown but the names of models and the provider's error code.
"""

import asyncio
from contextlib import aclosing
from datetime import timedelta
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import msgspec
from aiohttp import ClientError
from msgspec import Struct

from adapters.language_model.chat_completions import ChatCompletions
from adapters.language_model.connection_failures import connection_failure
from adapters.language_model.model_diagnosis import Listing, diagnosis
from adapters.language_model.model_server import (
    ModelConnection,
    ModelServer,
    open_connection,
)
from adapters.outgoing_http.server_problem import ServerProblem
from domain.model.identifiers import MessageId
from domain.model.message import Message, Role, TextPart
from domain.model.prompt import Prompt
from ports.clock import Clock
from ports.findings import Finding, Level
from ports.language_model import FailureDetails, ModelError, ModelUnavailable

_LISTING_MAX_BYTES: Final = 8_000_000
_LISTING_TIMEOUT: Final = timedelta(seconds=10)
_UNCERTAIN: Final = frozenset({"closed", "not-http", "timeout"})
"""Failures after which a server may still reply to a prompt."""


class _Model(Struct):
    id: str


class _Models(Struct):
    data: list[_Model]


class _NoTelemetry:
    """The service itself reports what it learns from its own requests."""

    def emit(self, event: str, **fields: str | float | bool | None) -> None:
        """Do nothing."""


async def model_findings(server: ModelServer, clock: Clock, reply_tokens: int) -> list[Finding]:
    """What there is to say about ``server``: at least one finding, with the topic ``model``.

    The reply is requested with ``reply_tokens``, as the service does.
    """
    try:
        async with open_connection(server) as connection:
            return await _findings(connection, server, clock, reply_tokens)
    except ServerProblem as problem:
        return [Finding(Level.PROBLEM, "model", str(problem))]


async def _findings(
    connection: ModelConnection, server: ModelServer, clock: Clock, reply_tokens: int
) -> list[Finding]:
    listing = await _models_at(connection, server, server.base_url)
    if listing.reason is not None and listing.reason not in _UNCERTAIN:
        details = FailureDetails(status=listing.status, reason=listing.reason)
        return [diagnosis(server, ModelUnavailable(details), listing)]
    model = ChatCompletions(
        connection=connection, server=server, clock=clock, telemetry=_NoTelemetry(), retry_pauses=()
    )
    try:
        async with aclosing(model.reply(_prompt(clock, reply_tokens))) as reply:
            await anext(reply)
    except ModelError as failure:
        better_url = None
        if listing.names is None:
            better_url = await _better_url(connection, server, failure)
        return [diagnosis(server, failure, listing, better_url)]
    good = Finding(Level.GOOD, "model", f"{server.name} at {server.address} answers")
    if listing.names is not None:
        return [good]
    why = listing.reason or f"status {listing.status}"
    return [good, Finding(Level.UNKNOWN, "models", f"the server does not list them ({why})")]


def _prompt(clock: Clock, reply_tokens: int) -> Prompt:
    message = Message(
        id=MessageId("check"),
        number=1,
        turn=1,
        role=Role.USER,
        parts=(TextPart("Hello!"),),
        created_at=clock.now(),
    )
    system = "Answer with one word."
    return Prompt(system=system, messages=(message,), locale="en", reply_tokens=reply_tokens)


async def _models_at(connection: ModelConnection, server: ModelServer, base_url: str) -> Listing:
    """The answer to ``GET /models``."""
    url = f"{base_url.rstrip('/')}/models"
    try:
        async with asyncio.timeout(_LISTING_TIMEOUT.total_seconds()):
            status, body = await connection.fetch(url, at_most=_LISTING_MAX_BYTES)
    except (ClientError, TimeoutError) as error:
        refusal = getattr(error, "status", None)
        return Listing(status=refusal, reason=connection_failure(error, server.host))
    names = _names_in(body) if status == HTTPStatus.OK else None
    return Listing(status=status, names=names)


def _names_in(body: bytes) -> tuple[str, ...] | None:
    try:
        return tuple(model.id for model in msgspec.json.decode(body, type=_Models).data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


async def _better_url(
    connection: ModelConnection, server: ModelServer, failure: ModelError
) -> str | None:
    """A base URL that lists models, if the path of the one in the settings looks wrong."""
    is_refused = failure.details.status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)
    if not is_refused and failure.details.reason not in ("html", "not-a-stream"):
        return None
    base_url = server.base_url.rstrip("/")
    parts = urlsplit(base_url)
    for url in (
        base_url.removesuffix("/chat/completions"),
        f"{base_url}/v1",
        f"{parts.scheme}://{parts.netloc}/v1",
    ):
        if url == base_url:
            continue
        listing = await _models_at(connection, server, url)
        if listing.names is not None or listing.status == HTTPStatus.UNAUTHORIZED:
            return url
    return None
