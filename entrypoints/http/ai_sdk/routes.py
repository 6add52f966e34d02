"""The routes for the AI SDK's ``useChat``. See docs/clients.md."""

from collections.abc import AsyncGenerator, Awaitable
from functools import partial
from http import HTTPStatus
from typing import Final

from attrs import evolve
from starlette.requests import Request
from starlette.responses import Response

from domain.model.identifiers import ConversationRef
from entrypoints.http.ai_sdk.bodies import has_earlier_user_message, newest_message, read_ai_sdk
from entrypoints.http.ai_sdk.dispatch import AiSdkRequest, dispatch
from entrypoints.http.ai_sdk.examples import EXAMPLES
from entrypoints.http.ai_sdk.history import AiSdkHistoryDocument, ai_sdk_history
from entrypoints.http.authentication import HttpCaller
from entrypoints.http.documents import json_response
from entrypoints.http.endpoints import STORED, Endpoint
from entrypoints.http.member_types import ChatIdInPath
from entrypoints.http.reply_stream import ReplyStream, stream_when_open
from entrypoints.http.requests import idempotency_key, path_id, preferred_locales, wants_json
from entrypoints.http.services import require_owner, services_of
from entrypoints.http.sse import event
from entrypoints.usecases.open_turn import OnWait, Started


async def send_message(request: Request, caller: HttpCaller, raw: bytes) -> Response:
    """Handle a request of ``useChat``: a message, an edit, a regeneration or tool results."""
    services = services_of(request)
    body = read_ai_sdk(raw)
    ai_sdk_request = AiSdkRequest(
        owner=caller.owner,
        body=body,
        newest=newest_message(body),
        payer=services.authenticator.payer(request, caller),
        locales=preferred_locales(request, body.locale, is_first=False),
        first_locales=preferred_locales(
            request, body.locale, is_first=not has_earlier_user_message(body)
        ),
        idempotency=idempotency_key(request, raw)[1],
    )

    def open_turn(on_wait: OnWait | None) -> Awaitable[Started]:
        return dispatch(services, evolve(ai_sdk_request, on_wait=on_wait))

    headers = services.authenticator.key_headers(caller)
    if wants_json(request):
        reply = await services.reply_stream.await_reply(await open_turn(None))
        return reply.response(headers)
    # A client that regenerates has removed the message, also if it is only to be continued.
    repeats_text = body.is_regeneration
    events = partial(ai_sdk_stream, services.reply_stream, repeats_text=repeats_text)
    return await stream_when_open(open_turn, events, headers, ends_cleanly=True)


async def ai_sdk_stream(
    stream: ReplyStream, started: Started, *, repeats_text: bool = False
) -> AsyncGenerator[bytes, None]:
    """The events of a turn that was just opened or joined.

    The session id is sent twice: in the metadata of ``start``, which the client stores with the
    message, and in a transient part, which only its ``onData`` receives. If the client shows
    messages that the service has forgotten, another transient part says so.
    """
    session_id = started.conversation.id
    metadata = {"sessionId": session_id, "restarted": started.restarted}
    transient = event({"type": "data-session", "data": metadata, "transient": True})
    if started.restarted:
        data = {"sessionId": session_id}
        transient += event({"type": "data-restarted", "data": data, "transient": True})
    async for chunk in stream.turn_events(started, metadata, repeats_text=repeats_text):
        yield chunk + transient
        transient = b""


async def get_chat(request: Request) -> Response:
    """``GET /api/chat/{id}``: the whole conversation as UI messages."""
    services = services_of(request)
    owner = require_owner(services.authenticator.authenticate(request))
    chat_id = path_id(request)
    session_id = await services.find_conversation(owner, chat_id)
    conversation = await services.read_history.whole(ConversationRef(owner, session_id))
    return json_response(ai_sdk_history(chat_id, conversation))


MESSAGE_PROBLEMS: Final = (
    "parameter_unsupported",
    "chat_id_malformed",
    "message_id_taken",
    "message_not_found",
    "conversation_moved_on",
    "nothing_to_answer",
    "nothing_to_continue",
    "tool_results_unexpected",
    "tool_result_too_long",
    "parameter_too_long",
    "conversation_not_found",
)
"""The problems of messages in the AI SDK's format, besides those of every message."""

ROUTES: Final = (
    Endpoint(
        "/api/chat/{id}",
        get_chat,
        "GET",
        summary="Read the whole conversation in the AI SDK's format.",
        in_path={"id": ChatIdInPath},
        responses={HTTPStatus.OK: [AiSdkHistoryDocument]},
        problems=[*STORED, "conversation_not_found"],
        tag="Conversations",
        examples=EXAMPLES,
    ),
)
