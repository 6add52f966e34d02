"""The operator's hook over HTTP: one signed ``POST`` for each turn."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from adapters.turn_hook.hook_answer import InvalidAnswer, read_answer
from adapters.turn_hook.hook_bodies import question_body
from adapters.turn_hook.hook_connection import ExchangeFailed, HttpResponse
from adapters.turn_hook.hook_server import HookServer
from adapters.turn_hook.hook_signature import signature_headers
from adapters.turn_hook.http_client import ConnectFailed, HookClient, open_client
from domain.model.preparation import NOTHING_PREPARED, Preparation, Question
from ports.clock import Clock
from ports.turn_hook import (
    HookAnswerInvalid,
    HookError,
    HookFailure,
    HookTimedOut,
    HookUnavailable,
)

_RETRY_PAUSE: Final = timedelta(seconds=0.25)
_REPEATABLE: Final = (
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
)


class HttpHook:
    """A hook at a URL.

    A request is repeated once, with the same ``webhook-id``, if no connection can be opened or if
    the status is 502, 503 or 504.
    """

    def __init__(self, *, client: HookClient, server: HookServer, clock: Clock) -> None:
        """``clock`` dates the signatures, and times the pause before a retry."""
        self._client = client
        self._server = server
        self._clock = clock

    async def prepare(self, question: Question) -> Preparation:
        """See ``ports.turn_hook.TurnHook.prepare``."""
        body = question_body(question)
        try:
            async with asyncio.timeout(self._server.timeout.total_seconds()):
                response = await self._post_with_retry(question.turn_id, body)
        except TimeoutError:
            raise HookTimedOut(self._details(reason="timeout")) from None
        return self._preparation(response)

    async def _post_with_retry(self, message_id: str, body: bytes) -> HttpResponse:
        try:
            return await self._post(message_id, body)
        except _Repeatable:
            await self._clock.sleep(_RETRY_PAUSE)
        try:
            return await self._post(message_id, body)
        except _Repeatable as last:
            raise last.failure from None

    async def _post(self, message_id: str, body: bytes) -> HttpResponse:
        """A response that is not worth a retry."""
        headers = signature_headers(
            self._server.keys,
            message_id=message_id,
            timestamp=int(self._clock.now().timestamp()),
            body=body,
        )
        try:
            response = await self._client.post(headers, body)
        except ConnectFailed as error:
            details = self._details(reason=error.reason, status=error.status)
            raise _Repeatable(HookUnavailable(details)) from None
        except ExchangeFailed as error:
            raise self._failure_of(error) from None
        if response.status in _REPEATABLE:
            raise _Repeatable(HookUnavailable(self._details(status=response.status)))
        return response

    def _failure_of(self, error: ExchangeFailed) -> HookError:
        kind = HookAnswerInvalid if error.reason == "too-large" else HookUnavailable
        return kind(self._details(reason=error.reason))

    def _preparation(self, response: HttpResponse) -> Preparation:
        status = response.status
        if status == HTTPStatus.NO_CONTENT:
            return NOTHING_PREPARED
        if status != HTTPStatus.OK:
            is_redirect = HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST
            reason = "redirect" if is_redirect else None
            raise HookUnavailable(self._details(status=status, reason=reason))
        reason = _unreadable(response)
        if reason is not None:
            raise HookAnswerInvalid(self._details(status=status, reason=reason))
        try:
            return read_answer(response.body)
        except InvalidAnswer as error:
            details = self._details(status=status, reason=error.reason, field=error.field)
            # The cause is for ``privity hook-check`` only; nothing logs it.
            raise HookAnswerInvalid(details) from error

    def _details(
        self, *, reason: str | None = None, status: int | None = None, field: str | None = None
    ) -> HookFailure:
        host = self._server.address
        return HookFailure(host=host, status=status, reason=reason, field=field)


class _Repeatable(Exception):
    """A failure after which the request is sent again, once."""

    def __init__(self, failure: HookError) -> None:
        super().__init__()
        self.failure = failure


def _unreadable(response: HttpResponse) -> str | None:
    """Why the body cannot be read as JSON; None if it can."""
    media_type = response.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if response.headers.get(b"content-encoding", b"identity").lower() != b"identity":
        return "encoded"
    return None if media_type == b"application/json" else "content-type"


@asynccontextmanager
async def open_hook(server: HookServer, clock: Clock) -> AsyncIterator[HttpHook]:
    """The hook at ``server``. Nothing is sent yet.

    Raises:
        ServerProblem: the certificates or the proxy cannot be used.
    """
    async with open_client(server) as client:
        yield HttpHook(client=client, server=server, clock=clock)
