"""A model on any OpenAI-compatible server: ``POST /chat/completions`` with streaming."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from http import HTTPStatus
from typing import Final

import aiohttp
from aiohttp import ClientError, ClientResponse
from attrs import evolve

from adapters.language_model.chat_failures import failure_of_status, retry_after
from adapters.language_model.chat_rejections import (
    ChatRejections,
    operator_parameters,
    options_among,
    rejected_option,
    rejected_parameter,
)
from adapters.language_model.chat_request import request_body
from adapters.language_model.chat_stream import ChatStream
from adapters.language_model.connection_failures import connection_failure
from adapters.language_model.model_server import ModelConnection, ModelServer
from adapters.language_model.provider_codes import may_repeat
from adapters.language_model.window_refusals import has_numbers
from domain.model.message import ToolCallPart
from domain.model.piece import ModelFinished, ModelPiece
from domain.model.prompt import Prompt
from ports.clock import Clock
from ports.language_model import (
    ContextExceeded,
    FailureDetails,
    MalformedStream,
    ModelBusy,
    ModelError,
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


class ChatCompletions:
    """A model behind an OpenAI-compatible server.

    A request is retried twice if the connection fails and on 408, 429 and 5xx, never after the
    reply has started. If the server rejects an optional parameter by name, the request is repeated
    without it (see ``ChatRejections``).
    """

    def __init__(
        self,
        *,
        connection: ModelConnection,
        server: ModelServer,
        clock: Clock,
        telemetry: Telemetry,
        retry_pauses: Sequence[timedelta] = _RETRY_PAUSES,
    ) -> None:
        """``clock`` times the pauses before retries."""
        self.name = server.name
        self._connection = connection
        self._server = server
        self._timeouts = server.timeouts
        self._clock = clock
        self._retry_pauses = retry_pauses
        self._rejections = ChatRejections(clock=clock, telemetry=telemetry)

    async def reply(self, prompt: Prompt) -> AsyncGenerator[ModelPiece | ModelFinished, None]:
        """See ``ports.language_model.LanguageModel.reply``."""
        deadline = _now() + self._timeouts.first_piece.total_seconds()
        with self._adding_details(prompt):
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
            except MalformedStream as failure:
                failure.details = _details_of_stream(failure.details, response)
                raise
            finally:
                # An unfinished response closes its connection, which stops the model. A finished
                # one has already returned its connection to the pool.
                response.close()

    @contextmanager
    def _adding_details(self, prompt: Prompt) -> Iterator[None]:
        """Add the server's address to a failure, and remove what may be words of the request."""
        try:
            yield
        except ModelError as failure:
            failure.details = evolve(failure.details, host=self._server.address)
            # A server may repeat the request anywhere in an error, even where its code should be.
            if self._is_repeated(failure.details.provider_code or "", prompt):
                failure.details = evolve(failure.details, provider_code=None)
            if isinstance(failure, ContextExceeded) and has_numbers(self._body(prompt)):
                failure.window = failure.prompt_tokens = None
            raise

    def _is_repeated(self, code: str, prompt: Prompt) -> bool:
        """Whether an error code may repeat something of the request or of the API key."""
        key = self._server.api_key
        if key is not None and (code in key or key in code):
            return True
        return may_repeat(code, self._body(prompt))

    def _details_of(self, error: ClientError | TimeoutError) -> FailureDetails:
        """The details of a request that got no response from the model's server."""
        status = error.status if isinstance(error, aiohttp.ClientHttpProxyError) else None
        return FailureDetails(status=status, reason=connection_failure(error, self._server.host))

    def _body(self, prompt: Prompt, left_out: frozenset[str] = frozenset()) -> bytes:
        return request_body(prompt, self.name, left_out, self._server.options)

    async def _post_with_retries(
        self, prompt: Prompt, deadline: float
    ) -> tuple[ClientResponse, frozenset[str]]:
        """A successful response, and the parameters that its request left out."""
        for pause in self._retry_pauses:
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
        operators = operator_parameters(self._server.options, prompt.options)
        while True:
            response = await self._post(self._body(prompt, left_out), deadline)
            if response.status == HTTPStatus.OK:
                self._rejections.request_accepted(prompt.options, left_out)
                return response, left_out
            wait = retry_after(response.headers, self._clock.now())
            error_body = await _error_body(response)
            # What the operator chose is not left out in silence.
            removable = self._rejections.removable(response.status, error_body) - operators
            if removable <= left_out:
                failure = failure_of_status(response.status, wait, error_body)
                if isinstance(failure, ModelRejectedRequest):
                    failure.option = rejected_option(error_body, prompt.options)
                    parameter = rejected_parameter(error_body, operators)
                    failure.details = evolve(failure.details, parameter=parameter)
                raise failure
            left_out |= removable

    async def _post(self, body: bytes, deadline: float) -> ClientResponse:
        try:
            async with asyncio.timeout_at(deadline):
                url = f"{self._server.base_url.rstrip('/')}/chat/completions"
                return await self._connection.request(
                    "POST", url, accept="text/event-stream", body=body
                )
        except ClientError as error:
            raise ModelUnavailable(self._details_of(error)) from error
        except TimeoutError as error:
            raise ModelTimedOut from error


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
        raise MalformedStream(FailureDetails(reason="closed")) from error


def _details_of_stream(details: FailureDetails, response: ClientResponse) -> FailureDetails:
    """The details of a response that is not a stream of chunks."""
    reason = details.reason
    if reason is None and response.content_type != "text/event-stream":
        reason = "html" if response.content_type == "text/html" else "not-a-stream"
    return evolve(details, status=response.status, reason=reason)


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
