"""A model on any OpenAI-compatible server: ``POST /chat/completions`` with streaming."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from http import HTTPStatus
from io import BytesIO
from typing import Final

import aiohttp
from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout
from attrs import evolve, frozen

from adapters.language_model.chat_failures import failure_of_status, retry_after
from adapters.language_model.chat_rejections import (
    ChatRejections,
    options_among,
    rejected_option,
)
from adapters.language_model.chat_request import request_body
from adapters.language_model.chat_stream import ChatStream
from domain.model.message import ToolCallPart
from domain.model.piece import ModelFinished, Piece
from domain.model.prompt import Prompt
from ports.clock import Clock
from ports.language_model import (
    MalformedStream,
    ModelBusy,
    ModelRejectedRequest,
    ModelTimedOut,
    ModelUnavailable,
)
from ports.telemetry import Telemetry

_RETRY_PAUSES: Final = (timedelta(seconds=0.5), timedelta(seconds=2))
"""The pause before each retry, unless the server says how long to wait."""

_REMAINDER_SECONDS: Final = 2.0
"""The time limit for reading what follows a complete reply, and for reading an error's body."""

_ERROR_MAX_BYTES: Final = 65_536


@frozen(kw_only=True)
class Timeouts:
    """How long to wait for a model.

    Attributes:
        connect: for one attempt to connect.
        first_piece: from the request to the first piece, retries included.
        silence: between two pieces.
    """

    connect: timedelta
    first_piece: timedelta
    silence: timedelta


class ChatCompletions:
    """A model behind an OpenAI-compatible server.

    A request is retried twice if the connection fails and on 408, 429 and 5xx, never after the
    reply has started. If the server rejects an optional parameter by name, the request is repeated
    without it (see ``ChatRejections``).
    """

    def __init__(
        self,
        *,
        session: ClientSession,
        url: str,
        name: str,
        timeouts: Timeouts,
        clock: Clock,
        telemetry: Telemetry,
    ) -> None:
        """``url`` is the endpoint itself; ``clock`` times the pauses before retries."""
        self.name = name
        self._session = session
        self._url = url
        self._timeouts = timeouts
        self._clock = clock
        self._rejections = ChatRejections(clock=clock, telemetry=telemetry)

    async def reply(self, prompt: Prompt) -> AsyncGenerator[Piece | ModelFinished, None]:
        """See ``ports.language_model.LanguageModel.reply``."""
        deadline = _now() + self._timeouts.first_piece.total_seconds()
        response, left_out = await self._post_with_retries(prompt, deadline)
        stream = ChatStream(_used_call_ids(prompt))
        try:
            while data := await _read(response, stream, deadline):
                has_pieces = False
                for piece in stream.feed(data):
                    has_pieces = True
                    yield piece
                if has_pieces:
                    deadline = _now() + self._timeouts.silence.total_seconds()
            for piece in stream.end():
                yield piece
            dropped = options_among(left_out, prompt.options)
            yield evolve(stream.finish(), dropped_options=dropped)
        finally:
            # An unfinished response closes its connection, which stops the model. A finished one
            # has already returned its connection to the pool.
            response.close()

    async def _post_with_retries(
        self, prompt: Prompt, deadline: float
    ) -> tuple[ClientResponse, frozenset[str]]:
        """A successful response, and the parameters that its request left out."""
        for pause in _RETRY_PAUSES:
            try:
                return await self._post_without_rejected(prompt, deadline)
            except (ModelBusy, ModelUnavailable) as failure:
                wait = pause
                if isinstance(failure, ModelBusy) and failure.retry_after is not None:
                    wait = failure.retry_after
                if _now() + wait.total_seconds() >= deadline:
                    raise
                await self._clock.sleep(wait)
        return await self._post_without_rejected(prompt, deadline)

    async def _post_without_rejected(
        self, prompt: Prompt, deadline: float
    ) -> tuple[ClientResponse, frozenset[str]]:
        left_out = self._rejections.remembered()
        while True:
            response = await self._post(request_body(prompt, self.name, left_out), deadline)
            if response.status == HTTPStatus.OK:
                self._rejections.request_accepted(prompt.options, left_out)
                return response, left_out
            wait = retry_after(response.headers, self._clock.now())
            error_body = await _error_body(response)
            removable = self._rejections.removable(response.status, error_body)
            if removable <= left_out:
                failure = failure_of_status(response.status, wait, error_body)
                if isinstance(failure, ModelRejectedRequest):
                    failure.option = rejected_option(error_body, prompt.options)
                raise failure
            left_out |= removable

    async def _post(self, body: bytes, deadline: float) -> ClientResponse:
        try:
            async with asyncio.timeout_at(deadline):
                # No redirects: the key and the prompt are for this server only.
                return await self._session.post(
                    self._url, data=BytesIO(body), allow_redirects=False
                )
        except aiohttp.ServerTimeoutError as error:
            raise ModelUnavailable from error
        except TimeoutError as error:
            raise ModelTimedOut from error
        except ClientError as error:
            raise ModelUnavailable from error


@asynccontextmanager
async def open_chat_completions(
    *,
    base_url: str,
    api_key: str | None,
    model: str,
    timeouts: Timeouts,
    clock: Clock,
    telemetry: Telemetry,
) -> AsyncIterator[ChatCompletions]:
    """Open a client for ``model`` at ``base_url``, which usually ends with ``/v1``.

    No request is sent yet, so an unreachable server is only noticed at the first reply.
    """
    authorization = {"authorization": f"Bearer {api_key}"} if api_key else {}
    async with ClientSession(
        headers={
            "content-type": "application/json",
            "accept": "text/event-stream",
            **authorization,
        },
        timeout=ClientTimeout(total=None, sock_connect=timeouts.connect.total_seconds()),
        # The turn runner limits how many replies are written at once.
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        url = f"{base_url.rstrip('/')}/chat/completions"
        yield ChatCompletions(
            session=session,
            url=url,
            name=model,
            timeouts=timeouts,
            clock=clock,
            telemetry=telemetry,
        )


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _read(response: ClientResponse, stream: ChatStream, deadline: float) -> bytes:
    """The next bytes; empty at the end of the stream.

    Raises:
        ModelTimedOut: nothing arrived in time, and the reply is not complete yet.
        MalformedStream: the connection broke, and the reply is not complete yet.
    """
    if stream.has_finished:
        # Usage may follow, and reading to the end keeps the connection usable.
        deadline = min(deadline, _now() + _REMAINDER_SECONDS)
    try:
        async with asyncio.timeout_at(deadline):
            return await response.content.readany()
    except TimeoutError as error:
        if stream.has_finished:
            return b""
        raise ModelTimedOut from error
    except ClientError as error:
        if stream.has_finished:
            return b""
        raise MalformedStream from error


async def _error_body(response: ClientResponse) -> bytes:
    """The body of an error, truncated to ``_ERROR_MAX_BYTES``; as much of it as arrived in time."""
    body = bytearray()
    try:
        with suppress(ClientError, TimeoutError):
            async with asyncio.timeout(_REMAINDER_SECONDS):
                # A single read() may return only one TCP segment.
                while more := await response.content.read(_ERROR_MAX_BYTES - len(body)):
                    body += more
        return bytes(body)
    finally:
        response.close()


def _used_call_ids(prompt: Prompt) -> set[str]:
    """The ids of all tool calls in the prompt; new calls must have different ones."""
    parts = (part for message in prompt.messages for part in message.parts)
    return {part.call_id for part in parts if isinstance(part, ToolCallPart)}
