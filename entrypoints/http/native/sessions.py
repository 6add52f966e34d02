"""The route that creates conversations. See docs/http_api.md."""

from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from domain.model.conversation import Conversation, welcome_of
from domain.model.identifiers import ConversationRef, SessionId
from entrypoints.http.authentication import HttpCaller
from entrypoints.http.documents import SessionDocument, json_response
from entrypoints.http.endpoints import CHANGED, KEY_HEADERS, MODEL
from entrypoints.http.native.bodies import SessionBody
from entrypoints.http.native.routes import NativeEndpoint
from entrypoints.http.requests import preferred_locales, read_body
from entrypoints.http.services import services_of


async def create_session(request: Request) -> Response:
    """``POST /api/sessions``: a new conversation that begins with the assistant's welcome."""
    services = services_of(request)
    services.authenticator.check_origin(request)
    caller = services.authenticator.authenticate_or_issue(request)
    body, _ = await read_body(request, SessionBody)
    payer = services.authenticator.payer(request, caller)
    if body.continues is not None:
        return await _continue_session(request, caller, body, body.continues)
    conversation = await services.create_session(
        caller.owner,
        payer=payer,
        locales=preferred_locales(request, body.locale, is_first=True),
        metadata=body.metadata or {},
    )
    return _session_response(request, caller, conversation)


async def _continue_session(
    request: Request, caller: HttpCaller, body: SessionBody, continues: str
) -> Response:
    services = services_of(request)
    other = await services.find_conversation(caller.owner, continues)
    conversation = await services.carry_over(
        ConversationRef(caller.owner, other),
        payer=services.authenticator.payer(request, caller),
        locales=preferred_locales(request, body.locale, is_first=False) or None,
        metadata=body.metadata,
    )
    return _session_response(request, caller, conversation, continues=other)


def _session_response(
    request: Request,
    caller: HttpCaller,
    conversation: Conversation,
    continues: SessionId | None = None,
) -> Response:
    document = SessionDocument(
        session_id=conversation.id,
        welcome=welcome_of(conversation),
        continues=continues,
        locale=conversation.locale,
        expires_at=conversation.expires_at,
    )
    key_headers = services_of(request).authenticator.key_headers(caller)
    return json_response(document, status=HTTPStatus.CREATED, headers=key_headers)


ROUTES: Final = (
    NativeEndpoint(
        "/api/sessions",
        create_session,
        "POST",
        summary="Create a conversation that begins with the assistant's welcome, or that continues "
        "another one.",
        description="A request with `continues` may wait until the model has written a summary of "
        "the messages that are not copied. If the model fails, nothing is created.",
        body=[SessionBody],
        responses={HTTPStatus.CREATED: [SessionDocument]},
        headers=["Privity-On-Behalf-Of"],
        response_headers=KEY_HEADERS,
        problems=[
            *CHANGED,
            *MODEL,
            "conversation_exists",
            "conversation_not_found",
            "turn_in_progress",
        ],
    ),
)
