"""``POST /api/chat``: one address for several client protocols, told apart by their bodies."""

from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from entrypoints.http.ai_sdk import routes as ai_sdk
from entrypoints.http.ai_sdk.bodies import AiSdkBody, chat_bound, is_ai_sdk
from entrypoints.http.documents import ReplyDocument
from entrypoints.http.native import routes as native
from entrypoints.http.native.bodies import ChatBody
from entrypoints.http.openapi import EVENT_STREAM, Endpoint
from entrypoints.http.requests import read_json
from entrypoints.http.services import services_of


async def post_message(request: Request) -> Response:
    """Say something, in the protocol whose body it is."""
    services = services_of(request)
    services.callers.check_origin(request)
    visitor = services.callers.authenticate_or_issue(request)
    raw = await read_json(request, chat_bound)
    say = ai_sdk.say if is_ai_sdk(raw) else native.say
    return await say(request, visitor, raw)


ROUTES: Final = (
    Endpoint(
        "/api/chat",
        post_message,
        "POST",
        summary="Say something; the reply streams, or comes whole with Accept: application/json.",
        body=[ChatBody, AiSdkBody],
        answers={HTTPStatus.OK: [EVENT_STREAM, ReplyDocument]},
        headers=["Idempotency-Key"],
    ),
)
