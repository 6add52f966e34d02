"""``POST /api/chat``: one address for two client protocols, distinguished by their bodies."""

from functools import partial
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from entrypoints.http.ai_sdk import routes as ai_sdk
from entrypoints.http.ai_sdk.bodies import AiSdkBody, chat_body_limit, is_ai_sdk
from entrypoints.http.ai_sdk.examples import EXAMPLES as AI_SDK_EXAMPLES
from entrypoints.http.documents import ReplyDocument
from entrypoints.http.endpoints import IMAGES, KEY_HEADERS, REPLY, USER_TEXT, Endpoint
from entrypoints.http.images import body_limit, check_text_size
from entrypoints.http.native import routes as native
from entrypoints.http.native.bodies import ChatBody
from entrypoints.http.native.examples import EXAMPLES
from entrypoints.http.requests import MAX_BODY_BYTES, read_json
from entrypoints.http.services import Services, services_of
from entrypoints.http.stream_documents import REPLY_EVENTS


async def post_message(request: Request) -> Response:
    """``POST /api/chat``: send a message, in the protocol of its body."""
    services = services_of(request)
    services.authenticator.check_origin(request)
    caller = services.authenticator.authenticate_or_issue(request)
    raw = await read_json(request, partial(_body_limit, services))
    check_text_size(raw, chat_body_limit(services.message_limit, raw[:MAX_BODY_BYTES]))
    send_message = ai_sdk.send_message if is_ai_sdk(raw) else native.send_message
    return await send_message(request, caller, raw)


def _body_limit(services: Services, beginning: bytes) -> int:
    """The limit of a body with this beginning; the native format checks its own limit again."""
    text_limit = chat_body_limit(services.message_limit, beginning)
    return body_limit(text_limit, services.images, beginning)


ROUTES: Final = (
    Endpoint(
        "/api/chat",
        post_message,
        "POST",
        summary="Send a message; streams the reply, or returns JSON with Accept: application/json.",
        body=[ChatBody, AiSdkBody],
        responses={HTTPStatus.OK: [REPLY_EVENTS, ReplyDocument]},
        headers=["Idempotency-Key", "Privity-On-Behalf-Of"],
        response_headers=[*KEY_HEADERS, "X-Session-Id"],
        problems=[
            *REPLY,
            *USER_TEXT,
            *IMAGES,
            "session_id_malformed",
            "context_too_long",
            *ai_sdk.MESSAGE_PROBLEMS,
        ],
        tag="Conversations",
        examples={**EXAMPLES, **AI_SDK_EXAMPLES},
    ),
)
