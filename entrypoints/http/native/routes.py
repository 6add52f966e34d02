"""Saying something and following the reply, in the native protocol. See docs/http_api.md.

Reading, exporting and forgetting what was said, in the native protocol.

Client keys: ``POST`` and ``DELETE /api/client-key``.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from domain.model.identifiers import ConversationRef, TurnId, message_id, session_id
from domain.model.message import TextPart
from domain.model.turn import Cursor
from domain.service.user_input import page_context, user_text
from entrypoints.http.authentication import HttpCaller
from entrypoints.http.documents import (
    ClientKeyDocument,
    ExportDocument,
    HistoryDocument,
    ReplyDocument,
    SessionDocument,
    StopDocument,
    export_document,
    history_document,
    json_response,
)
from entrypoints.http.native.bodies import AgainBody, ChatBody, OpenBody, StopBody
from entrypoints.http.openapi import EVENT_STREAM, Endpoint, Positive
from entrypoints.http.requests import (
    EmptyBody,
    check_size,
    idempotency_key,
    page_wanted,
    parse,
    path_name,
    query_session,
    read_body,
    wanted_locales,
    wants_json,
)
from entrypoints.http.services import services_of
from entrypoints.http.sse import EventStream
from entrypoints.usecases.open_turn import OnBusy, Started
from entrypoints.usecases.regenerate import RegenerateRequest
from entrypoints.usecases.send_message import NewMessage
from ports.rate_limiter import Quota

_NOTHING: Final = 204
_CREATED: Final = 201


async def say(request: Request, visitor: HttpCaller, raw: bytes) -> Response:
    """A message in the native protocol; its reply streams, or comes whole as JSON."""
    services = services_of(request)
    check_size(raw)
    body = parse(raw or b"{}", ChatBody)
    key, digests = idempotency_key(request, raw)
    context = body.page_context
    message = NewMessage(
        text=user_text(body.message),
        address=services.callers.address(request),
        session_id=None if body.session_id is None else session_id(body.session_id),
        locales=wanted_locales(request, body.locale, first=body.session_id is None),
        page_context=None if context is None else page_context(context),
        on_busy=_on_busy(body.on_busy, OnBusy.INTERRUPT if body.is_of_widget else OnBusy.REJECT),
        idempotency_key=key,
        idempotency=digests,
    )
    started = await services.send_message(visitor.owner, message)
    return await _reply(request, visitor, started)


async def regenerate(request: Request) -> Response:
    """``POST /api/chat/{id}/regenerate``: another answer, also to a message said anew."""
    services = services_of(request)
    services.callers.check_origin(request)
    visitor = services.callers.authenticate_or_issue(request)
    body, raw = await read_body(request, AgainBody)
    again = RegenerateRequest(
        session_id=await services.find_conversation(visitor.owner, path_name(request)),
        address=services.callers.address(request),
        message_id=None if body.message_id is None else message_id(body.message_id),
        text=_maybe_text(body.message),
        on_busy=_on_busy(body.on_busy, OnBusy.REJECT),
        idempotency=idempotency_key(request, raw)[1],
    )
    started = await services.regenerate(visitor.owner, again)
    return await _reply(request, visitor, started)


async def resume(request: Request) -> Response:
    """``GET /api/chat/{id}/stream``: the running reply, from its first chunk or a cursor on."""
    services = services_of(request)
    visitor = services.callers.authenticate(request)
    seen = request.headers.get("last-event-id")
    cursor = Cursor.parse(seen) if seen else None
    if visitor is None:
        return Response(status_code=_NOTHING)
    wanted = await services.find_conversation(visitor.owner, path_name(request))
    turn = await services.follow_turn.running(ConversationRef(visitor.owner, wanted))
    if turn is None or (cursor is not None and cursor.turn_id != turn.id):
        return Response(status_code=_NOTHING)
    after = cursor.number if cursor else None
    return EventStream(
        services.reply_stream.resumed(ConversationRef(visitor.owner, wanted), turn, after)
    )


async def stop(request: Request) -> Response:
    """``POST /api/chat/{id}/stop``: stop the running reply; what was said stays."""
    services = services_of(request)
    services.callers.check_origin(request)
    visitor = services.callers.authenticate(request)
    body, _ = await read_body(request, StopBody)
    named = body.turn_id or body.active_stream_id
    turn_id = None if named is None else TurnId(named)
    stopped = False
    if visitor is not None:
        wanted = await services.find_conversation(visitor.owner, path_name(request))
        stopped = await services.stop_turn(ConversationRef(visitor.owner, wanted), turn_id)
    return json_response(StopDocument(success=True, stopped=stopped))


async def open_session(request: Request) -> Response:
    """``POST /api/sessions``: an empty conversation with the assistant's welcome."""
    services = services_of(request)
    services.callers.check_origin(request)
    visitor = services.callers.authenticate_or_issue(request)
    body, _ = await read_body(request, OpenBody)
    conversation = await services.create_session(
        visitor.owner,
        address=services.callers.address(request),
        locales=wanted_locales(request, body.locale, first=True),
    )
    answer = SessionDocument(
        session_id=conversation.id,
        welcome=conversation.messages[-1].text,
        locale=conversation.locale,
        expires_at=conversation.expires_at,
    )
    key_headers = services.callers.key_headers(visitor)
    return json_response(answer, status=_CREATED, headers=key_headers)


async def _reply(request: Request, visitor: HttpCaller, started: Started) -> Response:
    services = services_of(request)
    headers = services.callers.key_headers(visitor)
    if not wants_json(request):
        stream = services.reply_stream.native(visitor.owner, started)
        return EventStream(stream, headers=_streamed(headers, started))
    reply = await services.reply_stream.awaited(visitor.owner, started)
    return reply.response(headers)


def _streamed(headers: Mapping[str, str], started: Started) -> dict[str, str]:
    return {**headers, "x-session-id": started.conversation.id}


def _on_busy(wanted: str | None, default: OnBusy) -> OnBusy:
    return OnBusy(wanted) if wanted else default


def _maybe_text(text: str | None) -> TextPart | None:
    return None if text is None else user_text(text)


async def get_history(request: Request) -> Response:
    """``GET /api/chat?sessionId=``: a page of what was said."""
    services = services_of(request)
    visitor = services.callers.authenticate(request)
    wanted = query_session(request)
    before, limit = page_wanted(request)
    owner = services.owner_or_absent(visitor)
    history = await services.read_history(
        ConversationRef(owner, wanted), before=before, limit=limit
    )
    return json_response(history_document(history))


async def forget(request: Request) -> Response:
    """``DELETE /api/chat?sessionId=``: forget it for good."""
    services = services_of(request)
    services.callers.check_origin(request)
    visitor = services.callers.authenticate(request)
    wanted = query_session(request)
    if visitor is not None:
        await services.forget_conversation(ConversationRef(visitor.owner, wanted))
    return Response(status_code=_NOTHING)


async def forget_named(request: Request) -> Response:
    """``DELETE /api/chat/{id}``: forget it for good."""
    services = services_of(request)
    services.callers.check_origin(request)
    visitor = services.callers.authenticate(request)
    if visitor is not None:
        wanted = await services.find_conversation(visitor.owner, path_name(request))
        await services.forget_conversation(ConversationRef(visitor.owner, wanted))
    return Response(status_code=_NOTHING)


async def export(request: Request) -> Response:
    """``GET /api/chat/{id}/export``: everything that is kept, as a file."""
    services = services_of(request)
    owner = services.owner_or_absent(services.callers.authenticate(request))
    wanted = await services.find_conversation(owner, path_name(request))
    conversation = await services.read_history.whole(ConversationRef(owner, wanted))
    disposition = {"content-disposition": 'attachment; filename="conversation.json"'}
    return json_response(export_document(conversation), headers=disposition)


async def issue(request: Request) -> Response:
    """Make a new client key, for use as a bearer; the cookie stays as it is."""
    services = services_of(request)
    services.callers.check_origin(request)
    services.callers.authenticate(request)
    await read_body(request, EmptyBody)
    await services.limiter.consume(services.callers.address(request), Quota.NEW)
    return json_response(ClientKeyDocument(client_key=services.keys.issue()), status=_CREATED)


async def take_back(request: Request) -> Response:
    """Clear the cookie: nothing of this browser can be read any more."""
    services = services_of(request)
    services.callers.check_origin(request)
    return Response(status_code=_NOTHING, headers=services.callers.clear_key_headers())


ROUTES: Final = (
    Endpoint(
        "/api/chat/{id}/stream",
        resume,
        "GET",
        summary="Follow the reply being written; 204 when none is.",
        answers={HTTPStatus.OK: [EVENT_STREAM], HTTPStatus.NO_CONTENT: []},
        headers=["Last-Event-ID"],
    ),
    Endpoint(
        "/api/chat/{id}/stop",
        stop,
        "POST",
        summary="Stop the reply being written; what was said stays.",
        body=[StopBody],
        answers={HTTPStatus.OK: [StopDocument]},
    ),
    Endpoint(
        "/api/chat/{id}/regenerate",
        regenerate,
        "POST",
        summary="Ask for another answer, also to a message said anew.",
        body=[AgainBody],
        answers={HTTPStatus.OK: [EVENT_STREAM, ReplyDocument]},
        headers=["Idempotency-Key"],
    ),
    Endpoint(
        "/api/sessions",
        open_session,
        "POST",
        summary="Open a conversation with the assistant's welcome.",
        body=[OpenBody],
        answers={HTTPStatus.CREATED: [SessionDocument]},
    ),
    Endpoint(
        "/api/chat",
        get_history,
        "GET",
        summary="Read what was said, the newest page first.",
        answers={HTTPStatus.OK: [HistoryDocument]},
        query={"sessionId*": str, "before": Positive, "limit": Positive},
    ),
    Endpoint(
        "/api/chat",
        forget,
        "DELETE",
        summary="Forget a conversation for good.",
        answers={HTTPStatus.NO_CONTENT: []},
        query={"sessionId*": str},
    ),
    Endpoint(
        "/api/chat/{id}",
        forget_named,
        "DELETE",
        summary="Forget a conversation for good.",
        answers={HTTPStatus.NO_CONTENT: []},
    ),
    Endpoint(
        "/api/chat/{id}/export",
        export,
        "GET",
        summary="Everything that is kept about a conversation.",
        answers={HTTPStatus.OK: [ExportDocument]},
    ),
    Endpoint(
        "/api/client-key",
        issue,
        "POST",
        summary="Make a client key.",
        body=[EmptyBody],
        answers={HTTPStatus.CREATED: [ClientKeyDocument]},
    ),
    Endpoint(
        "/api/client-key",
        take_back,
        "DELETE",
        summary="Clear the cookie.",
        answers={HTTPStatus.NO_CONTENT: []},
    ),
)
