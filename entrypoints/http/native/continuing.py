"""The route that continues a reply which was cut. See docs/http_api.md."""

from collections.abc import Awaitable
from http import HTTPStatus
from typing import Final

from attrs import evolve
from starlette.requests import Request
from starlette.responses import Response

from domain.model.identifiers import message_id
from entrypoints.http.documents import ReplyDocument
from entrypoints.http.endpoints import KEY_HEADERS, REPLY
from entrypoints.http.native.bodies import ContinueBody
from entrypoints.http.native.routes import CHAT_ID, NativeEndpoint, reply_response
from entrypoints.http.requests import idempotency_key, path_id, read_body
from entrypoints.http.services import services_of
from entrypoints.http.stream_documents import REPLY_EVENTS
from entrypoints.usecases.continue_reply import ContinueRequest
from entrypoints.usecases.open_turn import OnWait, Started


async def continue_reply(request: Request) -> Response:
    """``POST /api/chat/{id}/continue``: more of a reply that was cut, in the same message."""
    services = services_of(request)
    services.authenticator.check_origin(request)
    caller = services.authenticator.authenticate_or_issue(request)
    body, raw = await read_body(request, ContinueBody)
    continuation = ContinueRequest(
        session_id=await services.find_conversation(caller.owner, path_id(request)),
        payer=services.authenticator.payer(request, caller),
        message_id=None if body.message_id is None else message_id(body.message_id),
        idempotency=idempotency_key(request, raw)[1],
    )

    def open_turn(on_wait: OnWait | None) -> Awaitable[Started]:
        return services.continue_reply(caller.owner, evolve(continuation, on_wait=on_wait))

    return await reply_response(request, caller, open_turn)


ROUTES: Final = (
    NativeEndpoint(
        "/api/chat/{id}/continue",
        continue_reply,
        "POST",
        summary="Continue a reply that was cut, in the same message.",
        description="The stream begins with the text that the reply already has.",
        in_path=CHAT_ID,
        body=[ContinueBody],
        responses={HTTPStatus.OK: [REPLY_EVENTS, ReplyDocument]},
        headers=["Idempotency-Key", "Privity-On-Behalf-Of"],
        response_headers=[*KEY_HEADERS, "X-Session-Id"],
        problems=[
            *REPLY,
            "message_id_malformed",
            "conversation_not_found",
            "message_not_found",
            "nothing_to_continue",
        ],
    ),
)
