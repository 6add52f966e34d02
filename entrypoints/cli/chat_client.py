"""The documented HTTP API, as far as ``privity chat`` uses it."""

import os
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import msgspec
from attrs import frozen

from adapters.language_model.connection_failures import connection_failure
from adapters.language_model.sse_reader import SseReader

# A reply may take as long as it likes. While it is written, the server sends a sign of life every
# four seconds, so a connection that is silent for a minute is lost.
_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
_DONE: Final = b"[DONE]"
_LANGUAGE_VARIABLES: Final = ("LC_ALL", "LC_MESSAGES", "LANG")


class ChatError(Exception):
    """The request failed; ``str()`` is a sentence for people."""


class ConnectionLost(ChatError):
    """The connection broke, or the server is being restarted; the same request may work later."""


class Unreachable(ConnectionLost):
    """There is no connection to the server."""


class ClientKeyRejected(ChatError):
    """The server does not know the client key, for example because it has new master keys."""


class ConversationFull(ChatError):
    """The conversation accepts no more messages; ``continue_session`` begins one that goes on."""


@frozen(kw_only=True)
class ServerEvent:
    """One event with a JSON document; ``name`` is empty if the server sent none."""

    name: str
    document: dict[str, Any]


_KINDS: Final[Mapping[str, type[ChatError]]] = {
    "store_unavailable": ConnectionLost,
    "shutting_down": ConnectionLost,
    "client_key_invalid": ClientKeyRejected,
    "conversation_full": ConversationFull,
}
DONE_EVENT: Final = ServerEvent(name="done", document={})
"""The end of the chunks of a reply that was finished or stopped."""


async def events_of(chunks: AsyncIterable[bytes]) -> AsyncIterator[ServerEvent]:
    """The events in a stream of bytes; ``[DONE]`` becomes ``DONE_EVENT``.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError: the data of an event is not a JSON object.
    """
    reader = SseReader()
    async for chunk in chunks:
        for event in reader.feed(chunk):
            if event.data == _DONE:
                yield DONE_EVENT
            else:
                document = msgspec.json.decode(event.data, type=dict)
                yield ServerEvent(name=event.name, document=document)


class ChatClient:
    """Sends requests to one server with one client key."""

    def __init__(self, http: aiohttp.ClientSession, url: str, client_key: str | None) -> None:
        """Without a client key of the user's own, ``create_client_key`` gets one."""
        self.has_own_key = client_key is not None
        self._http = http
        self._url = url
        self._headers = {"accept-language": _languages(os.environ)}
        if client_key is not None:
            self._use(client_key)

    def _use(self, client_key: str) -> None:
        self._headers["authorization"] = f"Bearer {client_key}"

    async def create_client_key(self) -> None:
        """Get a new client key from the server, and use it from now on."""
        # The server would reject the request because of an old key that it does not know.
        self._headers.pop("authorization", None)
        (client_key,) = await self._create("/api/client-key", "clientKey")
        self._use(client_key)

    async def create_session(self) -> tuple[str, str]:
        """The session id of a new conversation, and the assistant's welcome."""
        session_id, welcome = await self._create("/api/sessions", "sessionId", "welcome")
        return session_id, welcome

    async def continue_session(self, session_id: str) -> str:
        """The session id of a new conversation that continues this one."""
        (new_id,) = await self._create("/api/sessions", "sessionId", body={"continues": session_id})
        return new_id

    async def stop(self, session_id: str) -> None:
        """Stop the reply that is being written."""
        async with self._request("POST", f"/api/chat/{session_id}/stop", {}):
            pass

    async def forget(self, session_id: str) -> None:
        """Delete a conversation."""
        async with self._request("DELETE", f"/api/chat/{session_id}", None):
            pass

    async def reply(
        self, path: str, body: Mapping[str, Any], idempotency_key: str
    ) -> AsyncGenerator[ServerEvent, None]:
        """The events of the reply to a request.

        Raises:
            ConnectionLost: the same request with the same key joins the reply, or replays it.
            ClientKeyRejected: the server does not know the client key.
            ChatError: the server rejected the request.
        """
        async with self._request("POST", path, body, idempotency_key) as response:
            if response.content_type != "text/event-stream":
                raise self._not_privity()
            try:
                async for event in events_of(response.content.iter_any()):
                    yield event
            except (msgspec.DecodeError, UnicodeDecodeError):
                raise self._not_privity() from None

    async def _create(
        self, path: str, *members: str, body: Mapping[str, Any] = MappingProxyType({})
    ) -> Sequence[str]:
        """The values of these members in the description of what was created."""
        async with self._request("POST", path, dict(body)) as response:
            document = await _document(response)
        if not document.keys() >= {*members}:
            raise self._not_privity()
        return [str(document[member]) for member in members]

    @asynccontextmanager
    async def _request(
        self, method: str, path: str, body: Mapping[str, Any] | None, key: str | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A successful response.

        Raises:
            ConnectionLost, ClientKeyRejected: see ``reply``.
            ChatError: the server cannot be reached or rejected the request.
        """
        idempotency = {} if key is None else {"idempotency-key": key}
        try:
            async with self._http.request(
                method,
                f"{self._url}{path}",
                json=body,
                headers={**self._headers, **idempotency},
                allow_redirects=False,
            ) as response:
                if response.status >= HTTPStatus.BAD_REQUEST:
                    await self._raise_problem(response)
                if response.status >= HTTPStatus.MULTIPLE_CHOICES:
                    # Not followed: a POST request would be repeated as GET.
                    target = response.headers.get("location", "another address")
                    why = f"{self._url} redirects to {target.removesuffix(path)}. Use that URL."
                    raise ChatError(why)
                yield response
        except aiohttp.ClientConnectorCertificateError as error:
            raise ChatError(f"The certificate of {self._url} is not valid.") from error
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Unreachable(self._why_unreachable(error)) from error
        except aiohttp.ClientError as error:
            raise ConnectionLost("The connection to the server was lost.") from error

    async def _raise_problem(self, response: aiohttp.ClientResponse) -> None:
        problem = await _document(response)
        if response.status == HTTPStatus.NOT_FOUND and "detail" not in problem:
            raise self._not_privity()
        why = str(problem.get("detail", f"The server answered with status {response.status}."))
        raise _KINDS.get(str(problem.get("code")), ChatError)(why)

    def _why_unreachable(self, error: aiohttp.ClientError | TimeoutError) -> str:
        host = urlsplit(self._url).hostname or ""
        match connection_failure(error, host):
            case "host-not-found":
                return f"The host name {host} is not found."
            case "no-tls":
                return f"{self._url} does not use TLS. Use http:// instead of https://."
            case _:
                return f"Cannot reach a Privity server at {self._url}. Start one: privity serve"

    def _not_privity(self) -> ChatError:
        return ChatError(f"{self._url} does not answer like a Privity server.")


@asynccontextmanager
async def open_client(url: str, client_key: str | None) -> AsyncIterator[ChatClient]:
    """A client for the server at ``url``."""
    # Connections are not kept: while the user types, nobody would notice that one was closed.
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(timeout=_TIMEOUT, connector=connector) as http:
        yield ChatClient(http, url, client_key)


async def _document(response: aiohttp.ClientResponse) -> dict[str, Any]:
    """The JSON body; an empty dict if it is not a JSON object."""
    try:
        return msgspec.json.decode(await response.read(), type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}


def _languages(environment: Mapping[str, str]) -> str:
    """The language of the terminal, for ``Accept-Language``; ``*`` if it has none."""
    values = (environment.get(name) for name in _LANGUAGE_VARIABLES)
    tag = next(filter(None, values), "").partition(".")[0].partition("@")[0]
    return "*" if tag in ("", "C", "POSIX") else tag.replace("_", "-")
