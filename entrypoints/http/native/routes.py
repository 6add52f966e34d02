"""The routes of the native protocol. See docs/http_api.md."""

from collections.abc import Awaitable
from functools import partial
from http import HTTPStatus
from typing import Final

from attrs import evolve
from starlette.requests import Request
from starlette.responses import Response

from domain.model.identifiers import ConversationRef, Owner, TurnId, message_id, session_id
from domain.model.turn import Cursor
from domain.service.user_input import user_text
from entrypoints.http.authentication import HttpCaller
from entrypoints.http.documents import (
    ConversationInfoDocument,
    ExportDocument,
    HistoryDocument,
    ReplyDocument,
    StopDocument,
    conversation_info_document,
    export_document,
    history_document,
    json_response,
)
from entrypoints.http.endpoints import CHANGED, KEY_HEADERS, REPLY, STORED, USER_TEXT, Endpoint
from entrypoints.http.images import check_text_size
from entrypoints.http.member_types import ChatIdInPath, SessionIdText
from entrypoints.http.native.bodies import ChatBody, PatchBody, RegenerateBody, StopBody
from entrypoints.http.native.closing import native_closing, widget_closing
from entrypoints.http.native.examples import EXAMPLES
from entrypoints.http.reply_stream import ClosingFn, OpenFn, stream_when_open
from entrypoints.http.requests import (
    PagePosition,
    PageSize,
    idempotency_key,
    message_body_bytes,
    page_query,
    parse,
    path_id,
    preferred_locales,
    query_session,
    read_body,
    read_page_context,
    wants_json,
)
from entrypoints.http.services import require_owner, services_of
from entrypoints.http.sse import EventStream
from entrypoints.http.stream_documents import REPLY_EVENTS, RESUMED_EVENTS
from entrypoints.usecases.open_turn import OnBusy, OnWait, Started
from entrypoints.usecases.regenerate import RegenerateRequest
from entrypoints.usecases.send_message import NewMessage


async def send_message(request: Request, caller: HttpCaller, raw: bytes) -> Response:
    """Send a message in the native protocol; the reply is an event stream or one document."""
    services = services_of(request)
    check_text_size(raw, message_body_bytes(services.message_limit))
    body = parse(raw or b"{}", ChatBody)
    key, idempotency = idempotency_key(request, raw)
    text = user_text(body.message, services.message_limit)
    message = NewMessage(
        parts=(text, *body.image_parts(services.images)),
        payer=services.authenticator.payer(request, caller),
        session_id=None if body.session_id is None else session_id(body.session_id),
        locales=preferred_locales(request, body.locale, is_first=body.session_id is None),
        page_context=body.page_context,
        on_busy=_on_busy(body.on_busy, OnBusy.INTERRUPT if body.is_from_widget else OnBusy.REJECT),
        idempotency_key=key,
        idempotency=idempotency,
    )

    def open_turn(on_wait: OnWait | None) -> Awaitable[Started]:
        return services.send_message(caller.owner, evolve(message, on_wait=on_wait))

    closing = widget_closing if body.is_from_widget else native_closing
    return await reply_response(request, caller, open_turn, closing)


async def regenerate(request: Request) -> Response:
    """``POST /api/chat/{id}/regenerate``: another reply, optionally to an edited message."""
    services = services_of(request)
    services.authenticator.check_origin(request)
    caller = services.authenticator.authenticate_or_issue(request)
    limit = services.message_limit
    body, raw = await read_body(request, RegenerateBody, lambda _: message_body_bytes(limit))
    regeneration = RegenerateRequest(
        session_id=await services.find_conversation(caller.owner, path_id(request)),
        payer=services.authenticator.payer(request, caller),
        message_id=None if body.message_id is None else message_id(body.message_id),
        text=None if body.message is None else user_text(body.message, limit),
        page_context=read_page_context(body.context),
        locales=preferred_locales(request, body.locale, is_first=False),
        on_busy=_on_busy(body.on_busy, OnBusy.REJECT),
        idempotency=idempotency_key(request, raw)[1],
    )

    def open_turn(on_wait: OnWait | None) -> Awaitable[Started]:
        return services.regenerate(caller.owner, evolve(regeneration, on_wait=on_wait))

    return await reply_response(request, caller, open_turn)


def _on_busy(member: str | None, default: OnBusy) -> OnBusy:
    return OnBusy(member) if member else default


async def reply_response(
    request: Request,
    caller: HttpCaller,
    open_turn: OpenFn,
    closing: ClosingFn = native_closing,
) -> Response:
    """The reply of the turn that ``open_turn`` opens: an event stream or one document."""
    services = services_of(request)
    headers = services.authenticator.key_headers(caller)
    if wants_json(request):
        reply = await services.reply_stream.await_reply(await open_turn(None))
        return reply.response(headers)
    events = partial(services.reply_stream.native_events, closing=closing)
    return await stream_when_open(open_turn, events, headers, ends_cleanly=False)


async def resume(request: Request) -> Response:
    """``GET /api/chat/{id}/stream``: the running reply, from its start or after a cursor."""
    services = services_of(request)
    caller = services.authenticator.authenticate(request)
    payer = services.authenticator.payer(request, caller)
    last_event_id = request.headers.get("last-event-id")
    cursor = Cursor.parse(last_event_id) if last_event_id else None
    if caller is None:
        return Response(status_code=HTTPStatus.NO_CONTENT)
    ref = await _conversation_in_path(request, caller.owner)
    turn = await services.read_history.open_turn(ref)
    if turn is None or (cursor is not None and cursor.turn_id != turn.id):
        return Response(status_code=HTTPStatus.NO_CONTENT)
    after = cursor.number if cursor else None
    leave = services.followers.add(payer)
    return EventStream(services.reply_stream.resume(ref, turn, after), on_end=leave)


async def stop(request: Request) -> Response:
    """``POST /api/chat/{id}/stop``: stop the running reply; the text written so far is kept."""
    services = services_of(request)
    services.authenticator.check_origin(request)
    caller = services.authenticator.authenticate(request)
    body, _ = await read_body(request, StopBody)
    turn_id = body.turn_id or body.active_stream_id
    stopped = False
    if caller is not None:
        ref = await _conversation_in_path(request, caller.owner)
        stopped = await services.stop_turn(ref, None if turn_id is None else TurnId(turn_id))
    return json_response(StopDocument(success=True, stopped=stopped))


async def get_history(request: Request) -> Response:
    """``GET /api/chat?sessionId=``: a page of messages."""
    services = services_of(request)
    caller = services.authenticator.authenticate(request)
    session = query_session(request)
    before, limit = page_query(request)
    ref = ConversationRef(require_owner(caller), session)
    history = await services.read_history(ref, before=before, limit=limit)
    return json_response(history_document(history))


async def patch(request: Request) -> Response:
    """``PATCH /api/chat/{id}``: change the language and the metadata of a conversation."""
    services = services_of(request)
    services.authenticator.check_origin(request)
    caller = services.authenticator.authenticate(request)
    body, _ = await read_body(request, PatchBody, media_types=_PATCH_TYPES)
    ref = await _conversation_in_path(request, require_owner(caller))
    payer = services.authenticator.payer(request, caller)
    conversation = await services.patch_conversation(ref, body.patch, payer=payer)
    return json_response(conversation_info_document(conversation))


async def export(request: Request) -> Response:
    """``GET /api/chat/{id}/export``: everything that is stored, as a file."""
    services = services_of(request)
    owner = require_owner(services.authenticator.authenticate(request))
    conversation = await services.read_history.whole(await _conversation_in_path(request, owner))
    disposition = {"content-disposition": 'attachment; filename="conversation.json"'}
    return json_response(export_document(conversation), headers=disposition)


async def forget(request: Request) -> Response:
    """``DELETE /api/chat?sessionId=``: forget the conversation for good."""
    services = services_of(request)
    services.authenticator.check_origin(request)
    caller = services.authenticator.authenticate(request)
    session = query_session(request)
    if caller is not None:
        await services.forget_conversation(ConversationRef(caller.owner, session))
    return Response(status_code=HTTPStatus.NO_CONTENT)


async def forget_by_id(request: Request) -> Response:
    """``DELETE /api/chat/{id}``: forget the conversation for good."""
    services = services_of(request)
    services.authenticator.check_origin(request)
    caller = services.authenticator.authenticate(request)
    if caller is not None:
        ref = await _conversation_in_path(request, caller.owner)
        await services.forget_conversation(ref)
    return Response(status_code=HTTPStatus.NO_CONTENT)


async def _conversation_in_path(request: Request, owner: Owner) -> ConversationRef:
    session = await services_of(request).find_conversation(owner, path_id(request))
    return ConversationRef(owner, session)


class NativeEndpoint(Endpoint):
    """A route of the native protocol."""

    tag = "Conversations"
    examples = EXAMPLES


CHAT_ID: Final = {"id": ChatIdInPath}
_PATCH_TYPES: Final = ("application/json", "application/merge-patch+json")

ROUTES: Final = (
    NativeEndpoint(
        "/api/chat/{id}/stream",
        resume,
        "GET",
        summary="Follow the reply being written.",
        description="The response is 204 if no reply is being written, if there is no such "
        "conversation, or if `Last-Event-ID` belongs to an earlier turn.",
        in_path=CHAT_ID,
        responses={HTTPStatus.OK: [RESUMED_EVENTS], HTTPStatus.NO_CONTENT: []},
        headers=["Last-Event-ID", "Privity-On-Behalf-Of"],
        problems=[*STORED, "cursor_malformed", "too_many_followers"],
    ),
    NativeEndpoint(
        "/api/chat/{id}/stop",
        stop,
        "POST",
        summary="Stop the reply being written; the text written so far is kept.",
        in_path=CHAT_ID,
        body=[StopBody],
        responses={HTTPStatus.OK: [StopDocument]},
        problems=CHANGED,
    ),
    NativeEndpoint(
        "/api/chat/{id}/regenerate",
        regenerate,
        "POST",
        summary="Ask for another reply, optionally to an edited message.",
        in_path=CHAT_ID,
        body=[RegenerateBody],
        responses={HTTPStatus.OK: [REPLY_EVENTS, ReplyDocument]},
        headers=["Idempotency-Key", "Privity-On-Behalf-Of"],
        response_headers=[*KEY_HEADERS, "X-Session-Id"],
        problems=[
            *REPLY,
            *USER_TEXT,
            "message_id_malformed",
            "context_too_long",
            "conversation_not_found",
            "message_not_found",
            "nothing_to_answer",
        ],
    ),
    NativeEndpoint(
        "/api/chat",
        get_history,
        "GET",
        summary="Read the messages, the newest page first.",
        responses={HTTPStatus.OK: [HistoryDocument]},
        query={"sessionId*": SessionIdText, "before": PagePosition, "limit": PageSize},
        problems=[
            *STORED,
            "session_id_missing",
            "session_id_malformed",
            "invalid_input",
            "conversation_not_found",
        ],
    ),
    NativeEndpoint(
        "/api/chat",
        forget,
        "DELETE",
        summary="Forget a conversation for good.",
        description="The response is 204 even if there is no such conversation.",
        responses={HTTPStatus.NO_CONTENT: []},
        query={"sessionId*": SessionIdText},
        problems=[*CHANGED, "session_id_missing", "session_id_malformed"],
    ),
    NativeEndpoint(
        "/api/chat/{id}",
        patch,
        "PATCH",
        summary="Change the language and the metadata of a conversation.",
        description="A reply being written keeps its language. The retention is not restarted.",
        in_path=CHAT_ID,
        body=[PatchBody],
        body_media_types=_PATCH_TYPES,
        responses={HTTPStatus.OK: [ConversationInfoDocument]},
        headers=["Privity-On-Behalf-Of"],
        problems=[*CHANGED, "invalid_input", "conversation_not_found"],
    ),
    NativeEndpoint(
        "/api/chat/{id}",
        forget_by_id,
        "DELETE",
        summary="Forget a conversation for good.",
        description="The response is 204 even if there is no such conversation.",
        in_path=CHAT_ID,
        responses={HTTPStatus.NO_CONTENT: []},
        problems=CHANGED,
    ),
    NativeEndpoint(
        "/api/chat/{id}/export",
        export,
        "GET",
        summary="Export everything that is stored about a conversation.",
        in_path=CHAT_ID,
        responses={HTTPStatus.OK: [ExportDocument]},
        response_headers=["Content-Disposition"],
        problems=[*STORED, "conversation_not_found"],
    ),
)
