"""Any OpenAI-compatible server, by ``POST /chat/completions`` with streaming."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Final

import aiohttp
from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout
from attrs import frozen

from adapters.language_model.chat_failures import failure_of_status, retry_after
from adapters.language_model.chat_request import rejected_parameter, request_body
from adapters.language_model.chat_stream import ChatStream
from domain.model.message import ToolCallPart
from domain.model.piece import ModelFinished, Piece
from domain.model.prompt import Prompt
from ports.clock import Clock
from ports.language_model import MalformedStream, ModelBusy, ModelTimedOut, ModelUnavailable

_PAUSES: Final = (timedelta(seconds=0.5), timedelta(seconds=2))
"""Before each repetition, unless the server says how long to wait."""

_AFTER_THE_LAST_WORD: Final = 2.0
_ERROR_MAX_BYTES: Final = 65_536
_OK: Final = 200


@frozen(kw_only=True)
class Timeouts:
    """How long a model is waited for.

    Attributes:
        connect: for a connection, each time one is tried.
        first_piece: from the request to the first piece, repetitions included.
        silence: from one piece to the next.
    """

    connect: timedelta
    first_piece: timedelta
    silence: timedelta


class ChatCompletions:
    """A model behind an OpenAI-compatible server.

    A request is repeated only while no piece of its reply has come: twice, when no connection came
    about, on 429 and on 5xx. Extras that a server refuses by name are left out from then on.
    """

    def __init__(
        self, *, session: ClientSession, url: str, name: str, patience: Timeouts, clock: Clock
    ) -> None:
        """``url`` is the endpoint itself; ``clock`` counts the pauses before repetitions."""
        self.name = name
        self._session = session
        self._url = url
        self._patience = patience
        self._clock = clock
        self._without: frozenset[str] = frozenset()

    async def reply(self, prompt: Prompt) -> AsyncGenerator[Piece | ModelFinished, None]:
        """See ``ports.language_model.LanguageModel.reply``."""
        deadline = _now() + self._patience.first_piece.total_seconds()
        response = await self._post_with_retries(prompt, deadline)
        stream = ChatStream(_called(prompt))
        try:
            while data := await _read(response, stream, deadline):
                spoken = False
                for piece in stream.feed(data):
                    spoken = True
                    yield piece
                if spoken:
                    deadline = _now() + self._patience.silence.total_seconds()
            for piece in stream.end():
                yield piece
            yield stream.finish()
        finally:
            # Cuts the connection, and with it work that nobody needs, unless all has been read:
            # then the connection is free for the next reply already.
            response.close()

    async def _post_with_retries(self, prompt: Prompt, deadline: float) -> ClientResponse:
        for pause in _PAUSES:
            try:
                return await self._post_dropping_refused(prompt, deadline)
            except (ModelBusy, ModelUnavailable) as failure:
                asked = failure.retry_after if isinstance(failure, ModelBusy) else None
                wait = pause if asked is None else asked
                if _now() + wait.total_seconds() >= deadline:
                    raise
                await self._clock.sleep(wait)
        return await self._post_dropping_refused(prompt, deadline)

    async def _post_dropping_refused(self, prompt: Prompt, deadline: float) -> ClientResponse:
        without = self._without
        while True:
            response = await self._post(request_body(prompt, self.name, without), deadline)
            if response.status == _OK:
                # Only now is it known that leaving it out helped.
                self._without = without
                return response
            wait = retry_after(response.headers, self._clock.now())
            complaint = await _error_body(response)
            extra = rejected_parameter(response.status, complaint, without)
            if extra is None:
                raise failure_of_status(response.status, wait, complaint)
            without |= {extra}

    async def _post(self, body: bytes, deadline: float) -> ClientResponse:
        try:
            async with asyncio.timeout_at(deadline):
                # Not followed elsewhere: the key and the prompt are for this server only.
                return await self._session.post(self._url, data=body, allow_redirects=False)
        except aiohttp.ServerTimeoutError as error:
            raise ModelUnavailable from error
        except TimeoutError as error:
            raise ModelTimedOut from error
        except ClientError as error:
            raise ModelUnavailable from error


@asynccontextmanager
async def open_chat_completions(
    *, base_url: str, api_key: str | None, model: str, patience: Timeouts, clock: Clock
) -> AsyncIterator[ChatCompletions]:
    """The model ``model`` at ``base_url``, which ends with ``/v1`` or the like.

    Nothing is asked yet: a server that is away shows when it is needed.
    """
    authorization = {"authorization": f"Bearer {api_key}"} if api_key else {}
    async with ClientSession(
        headers={
            "content-type": "application/json",
            "accept": "text/event-stream",
            **authorization,
        },
        timeout=ClientTimeout(total=None, sock_connect=patience.connect.total_seconds()),
        # How many replies are written at once is the turn runner's to bound.
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        url = f"{base_url.rstrip('/')}/chat/completions"
        yield ChatCompletions(session=session, url=url, name=model, patience=patience, clock=clock)


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _read(response: ClientResponse, stream: ChatStream, deadline: float) -> bytes:
    """More bytes; empty once nothing more is to come."""
    if stream.has_finished:
        # What still comes is usage and the end, which keeps the connection usable.
        deadline = min(deadline, _now() + _AFTER_THE_LAST_WORD)
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
    """A refusal's body, or what came of it; a longer one is cut."""
    body = bytearray()
    try:
        with suppress(ClientError, TimeoutError):
            async with asyncio.timeout(_AFTER_THE_LAST_WORD):
                # One read gives what one segment of the network brought.
                while more := await response.content.read(_ERROR_MAX_BYTES - len(body)):
                    body += more
        return bytes(body)
    finally:
        response.close()


def _called(prompt: Prompt) -> set[str]:
    """The ids of all tool calls so far: results are told apart by them."""
    parts = (part for said in prompt.messages for part in said.parts)
    return {part.call_id for part in parts if isinstance(part, ToolCallPart)}
