"""Routes for the AI SDK's ``useChat``. See docs/clients.md."""

from collections.abc import AsyncGenerator
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from domain.model.identifiers import ConversationRef, Owner
from entrypoints.http.ai_sdk.bodies import has_earlier_user_message, read_ai_sdk
from entrypoints.http.ai_sdk.dispatch import AiSdkRequest, dispatch, newest_of
from entrypoints.http.ai_sdk.history import AiSdkHistoryDocument, ai_sdk_history
from entrypoints.http.authentication import HttpCaller
from entrypoints.http.documents import json_response
from entrypoints.http.openapi import Endpoint
from entrypoints.http.reply_stream import ReplyStream
from entrypoints.http.requests import idempotency_key, path_name, wanted_locales, wants_json
from entrypoints.http.services import services_of
from entrypoints.http.sse import EventStream, event
from entrypoints.usecases.open_turn import Started


async def ai_sdk_stream(
    stream: ReplyStream, owner: Owner, started: Started
) -> AsyncGenerator[bytes, None]:
    """The events of a turn that was just opened, or joined.

    The session id stands in the metadata of ``start``, which stays with the message, and in a
    transient part, which only reaches ``onData``.
    """
    told = {"sessionId": started.conversation.id, "restarted": started.restarted}
    hello: bytes | None = event({"type": "data-session", "data": told, "transient": True})
    async for chunk in stream.turn(owner, started, told):
        yield chunk + (hello or b"")
        hello = None


async def say(request: Request, visitor: HttpCaller, raw: bytes) -> Response:
    """A message, an edit, a wish for another answer, or results of tools, by ``useChat``."""
    services = services_of(request)
    body = read_ai_sdk(raw)
    asking = AiSdkRequest(
        owner=visitor.owner,
        body=body,
        newest=newest_of(body),
        address=services.callers.address(request),
        locales=wanted_locales(request, body.locale, first=not has_earlier_user_message(body)),
        idempotency=idempotency_key(request, raw)[1],
    )
    started = await dispatch(services, asking)
    headers = services.callers.key_headers(visitor)
    if wants_json(request):
        reply = await services.reply_stream.awaited(visitor.owner, started)
        return reply.response(headers)
    stream = ai_sdk_stream(services.reply_stream, visitor.owner, started)
    return EventStream(stream, headers={**headers, "x-session-id": started.conversation.id})


async def get_chat(request: Request) -> Response:
    """``GET /api/chat/{id}``: the whole chat as UI messages."""
    services = services_of(request)
    owner = services.owner_or_absent(services.callers.authenticate(request))
    name = path_name(request)
    wanted = await services.find_conversation(owner, name)
    conversation = await services.read_history.whole(ConversationRef(owner, wanted))
    return json_response(ai_sdk_history(name, conversation))


ROUTES: Final = (
    Endpoint(
        "/api/chat/{id}",
        get_chat,
        "GET",
        summary="Read the whole conversation in the shape of the AI SDK.",
        answers={HTTPStatus.OK: [AiSdkHistoryDocument]},
    ),
)
