"""Talking with the AI SDK's ``useChat``. See docs/clients.md."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from entrypoints.http.ai_sdk.asking import Asking, answered, newest_of
from entrypoints.http.ai_sdk.bodies import knows_earlier_words, read_ai_sdk
from entrypoints.http.ai_sdk.history import ai_sdk_history
from entrypoints.http.ai_sdk.streaming import ai_sdk_stream
from entrypoints.http.answers import json_response
from entrypoints.http.bodies import idempotency_key
from entrypoints.http.caller import Visitor
from entrypoints.http.parameters import path_name
from entrypoints.http.services import services_of
from entrypoints.http.sse import EventStream
from entrypoints.http.wishes import wanted_locales, wants_json


async def say(request: Request, visitor: Visitor, raw: bytes) -> Response:
    """A message, an edit, a wish for another answer, or results of tools, by ``useChat``."""
    services = services_of(request)
    body = read_ai_sdk(raw)
    asking = Asking(
        owner=visitor.owner,
        body=body,
        newest=newest_of(body),
        address=services.callers.address(request),
        locales=wanted_locales(request, body.locale, first=not knows_earlier_words(body)),
        request=idempotency_key(request, raw)[1],
    )
    started = await answered(services, asking)
    headers = services.callers.handed_out(visitor)
    if wants_json(request):
        reply = await services.reply_stream.awaited(visitor.owner, started)
        return reply.response(headers)
    stream = ai_sdk_stream(services.reply_stream, visitor.owner, started)
    return EventStream(stream, headers={**headers, "x-session-id": started.conversation.id})


async def get_chat(request: Request) -> Response:
    """``GET /api/chat/{id}``: the whole chat as UI messages."""
    services = services_of(request)
    owner = services.owner_or_absent(services.callers.recognise(request))
    name = path_name(request)
    wanted = await services.find_conversation(owner, name)
    conversation = await services.read_history.whole(owner, wanted)
    return json_response(ai_sdk_history(name, conversation))


ROUTES: Final = (Route("/api/chat/{id}", get_chat, methods=["GET"]),)
