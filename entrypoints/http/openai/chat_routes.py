"""``/v1/chat/completions``."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from attrs import evolve
from starlette.requests import Request
from starlette.responses import Response

from domain.model.turn import Outcome, TurnEnd
from entrypoints.http.authentication import ON_BEHALF_OF_HEADER
from entrypoints.http.documents import json_response
from entrypoints.http.endpoints import IMAGES, REPLY, USER_TEXT
from entrypoints.http.openai.chat_bodies import CompletionBody
from entrypoints.http.openai.chat_documents import ChatCompletionDocument, CompletionSkeleton
from entrypoints.http.openai.chat_events import ChatEvents, chunk_stream
from entrypoints.http.openai.chat_requests import ChatParameters, parse_chat_parameters
from entrypoints.http.openai.errors import naming, openai_error
from entrypoints.http.openai.event_documents import COMPLETION_EVENTS
from entrypoints.http.openai.items import completion_id, conversation_id
from entrypoints.http.openai.parameters import (
    CHAT_OPTION_PARAMETERS,
    naming_parameters,
    problem_of_end,
)
from entrypoints.http.openai.services import (
    ApiCaller,
    ApiEndpoint,
    api_caller,
    openai_of,
    read_items,
)
from entrypoints.http.openai.streaming import (
    Batches,
    collect,
    collect_while_connected,
    first_while_connected,
)
from entrypoints.http.problems import Problem, problem_of, problem_of_code
from entrypoints.http.requests import idempotency_key
from entrypoints.http.sse import EventStream
from entrypoints.usecases.create_response import ResponseRequest
from entrypoints.usecases.open_turn import Started
from ports.errors import ShuttingDown
from ports.turn_log import Batch

CONVERSATION_HEADER: Final = "Privity-Conversation"


async def create(request: Request) -> Response:
    """``POST /v1/chat/completions``: reply to messages, as an event stream or as one document."""
    caller = api_caller(request)
    raw = await read_items(request) or b"{}"
    services = openai_of(request)
    named = request.headers.getlist(CONVERSATION_HEADER)
    parameters = parse_chat_parameters(raw, named, services.message_limit, services.images)
    key, idempotency = idempotency_key(request, raw)
    response_request = ResponseRequest(
        inputs=parameters.inputs,
        payer=caller.payer,
        session_id=parameters.session_id,
        # A client that keeps the history itself decides what of it can be left out.
        options=evolve(parameters.options, may_truncate=parameters.is_stored),
        idempotency_key=key,
        idempotency=idempotency,
    )
    following = openai_of(request).following
    with naming("messages"), naming_parameters(CHAT_OPTION_PARAMETERS):
        if parameters.is_stored:
            started = await openai_of(request).create_response(caller.owner, response_request)
            batches = following.stored(started.turn_ref)
        else:
            started, batches = await following.ephemeral(caller.owner, response_request)
    return await _reply(request, caller, parameters, started, batches)


async def _reply(
    request: Request,
    caller: ApiCaller,
    parameters: ChatParameters,
    started: Started,
    batches: Batches,
) -> Response:
    skeleton = CompletionSkeleton(
        id=completion_id(started.conversation.id, started.turn.number),
        created_at=started.turn.opened_at,
        model=openai_of(request).model.name,
    )
    headers = {**caller.headers, **_conversation_header(parameters, started)}
    if parameters.stream:
        # The clients' packages handle an error much better than a failure within a stream.
        if parameters.is_stored:
            first = await anext(batches)
        else:
            first = await first_while_connected(batches, request)
        return _streamed(parameters, skeleton, first, batches, headers)
    if parameters.is_stored:
        parts, end = await collect(batches)
    else:
        parts, end = await collect_while_connected(batches, request)
    problem = _problem(end, is_stored=parameters.is_stored)
    if problem is not None:
        return openai_error(problem)
    document = skeleton.completion(parts, end)
    return json_response(document, headers=headers)


def _streamed(
    parameters: ChatParameters,
    skeleton: CompletionSkeleton,
    first: Batch,
    batches: Batches,
    headers: Mapping[str, str],
) -> Response:
    if first.end is not None and not first.pieces:
        problem = _problem(first.end, is_stored=parameters.is_stored)
        if problem is not None:
            return openai_error(problem)
    events = ChatEvents(
        skeleton,
        lambda end: _problem(end, is_stored=parameters.is_stored),
        with_usage=parameters.with_usage,
        obfuscated=parameters.obfuscated,
    )
    return EventStream(chunk_stream(first, batches, events), headers=headers)


def _conversation_header(parameters: ChatParameters, started: Started) -> Mapping[str, str]:
    if not parameters.is_stored:
        return {}
    return {CONVERSATION_HEADER: conversation_id(started.conversation.id)}


def _problem(end: TurnEnd, *, is_stored: bool) -> Problem | None:
    """Why the reply is not complete; None if it is."""
    if end.outcome is Outcome.FINISHED:
        return None
    if not is_stored:
        # Its client is there, so only the service can have interrupted it.
        failed = problem_of_end(end, CHAT_OPTION_PARAMETERS)
        return failed if end.error else problem_of(ShuttingDown())
    if end.error is None:
        return problem_of_code("reply_stopped")
    # The messages are stored, so the client must not retry by itself.
    return evolve(problem_of_end(end, CHAT_OPTION_PARAMETERS), retry_after=None)


ROUTES: Final = (
    ApiEndpoint(
        "/v1/chat/completions",
        create,
        "POST",
        summary="Reply to messages; nothing is stored unless the request names a conversation.",
        body=[CompletionBody],
        responses={HTTPStatus.OK: [ChatCompletionDocument, COMPLETION_EVENTS]},
        headers=["Idempotency-Key", CONVERSATION_HEADER, ON_BEHALF_OF_HEADER],
        response_headers=["Privity-Client-Key", CONVERSATION_HEADER],
        problems=[
            *REPLY,
            *USER_TEXT,
            *IMAGES,
            "parameter_unsupported",
            "parameter_too_long",
            "context_length_exceeded",
            "conversation_not_found",
            "tool_call_not_found",
            "tool_result_too_long",
            "nothing_to_answer",
            "reply_stopped",
        ],
        tag="OpenAI: chat completions",
    ),
)
