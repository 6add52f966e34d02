"""Reading, exporting and forgetting what was said, in the native protocol."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from entrypoints.http.answers import json_response
from entrypoints.http.parameters import page_wanted, path_name, query_session
from entrypoints.http.rendering import export_answer, history_answer
from entrypoints.http.services import services_of

_NOTHING: Final = 204


async def get_history(request: Request) -> Response:
    """``GET /api/chat?sessionId=``: a page of what was said."""
    services = services_of(request)
    visitor = services.callers.recognise(request)
    wanted = query_session(request)
    before, limit = page_wanted(request)
    owner = services.owner_or_absent(visitor)
    history = await services.read_history(owner, wanted, before=before, limit=limit)
    return json_response(history_answer(history))


async def forget(request: Request) -> Response:
    """``DELETE /api/chat?sessionId=``: forget it for good."""
    services = services_of(request)
    services.callers.check_origin(request)
    visitor = services.callers.recognise(request)
    wanted = query_session(request)
    if visitor is not None:
        await services.forget_conversation(visitor.owner, wanted)
    return Response(status_code=_NOTHING)


async def forget_named(request: Request) -> Response:
    """``DELETE /api/chat/{id}``: forget it for good."""
    services = services_of(request)
    services.callers.check_origin(request)
    visitor = services.callers.recognise(request)
    if visitor is not None:
        wanted = await services.find_conversation(visitor.owner, path_name(request))
        await services.forget_conversation(visitor.owner, wanted)
    return Response(status_code=_NOTHING)


async def export(request: Request) -> Response:
    """``GET /api/chat/{id}/export``: everything that is kept, as a file."""
    services = services_of(request)
    owner = services.owner_or_absent(services.callers.recognise(request))
    wanted = await services.find_conversation(owner, path_name(request))
    conversation = await services.read_history.whole(owner, wanted)
    disposition = {"content-disposition": 'attachment; filename="conversation.json"'}
    return json_response(export_answer(conversation), headers=disposition)


ROUTES: Final = (
    Route("/api/chat", get_history, methods=["GET"]),
    Route("/api/chat", forget, methods=["DELETE"]),
    Route("/api/chat/{id}", forget_named, methods=["DELETE"]),
    Route("/api/chat/{id}/export", export, methods=["GET"]),
)
