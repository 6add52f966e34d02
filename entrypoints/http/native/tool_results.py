"""The route that takes the results of tools which the client runs. See docs/http_api.md."""

from collections.abc import Awaitable
from http import HTTPStatus
from typing import Final

from attrs import evolve
from starlette.requests import Request
from starlette.responses import Response

from entrypoints.http.documents import ReplyDocument
from entrypoints.http.endpoints import KEY_HEADERS, REPLY
from entrypoints.http.native.bodies import ToolResultsBody
from entrypoints.http.native.routes import CHAT_ID, NativeEndpoint, reply_response
from entrypoints.http.requests import idempotency_key, path_id, read_body
from entrypoints.http.services import services_of
from entrypoints.http.stream_documents import REPLY_EVENTS
from entrypoints.usecases.open_turn import OnWait, Started
from entrypoints.usecases.submit_tool_results import ToolResults


async def submit_tool_results(request: Request) -> Response:
    """``POST /api/chat/{id}/tool-results``: the reply goes on with these results."""
    services = services_of(request)
    services.authenticator.check_origin(request)
    caller = services.authenticator.authenticate_or_issue(request)
    body, raw = await read_body(request, ToolResultsBody)
    results = ToolResults(
        results=tuple(member.result for member in body.results),
        session_id=await services.find_conversation(caller.owner, path_id(request)),
        payer=services.authenticator.payer(request, caller),
        idempotency=idempotency_key(request, raw)[1],
    )

    def open_turn(on_wait: OnWait | None) -> Awaitable[Started]:
        return services.submit_tool_results(caller.owner, evolve(results, on_wait=on_wait))

    return await reply_response(request, caller, open_turn)


ROUTES: Final = (
    NativeEndpoint(
        "/api/chat/{id}/tool-results",
        submit_tool_results,
        "POST",
        summary="Send the results of tools that the client has run; the reply goes on.",
        description="The stream has only what follows; it does not repeat the reply so far.",
        in_path=CHAT_ID,
        body=[ToolResultsBody],
        responses={HTTPStatus.OK: [REPLY_EVENTS, ReplyDocument]},
        headers=["Idempotency-Key", "Privity-On-Behalf-Of"],
        response_headers=[*KEY_HEADERS, "X-Session-Id"],
        problems=[
            *REPLY,
            "conversation_not_found",
            "tool_results_unexpected",
            "tool_result_too_long",
        ],
    ),
)
