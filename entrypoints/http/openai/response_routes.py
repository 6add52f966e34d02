"""``/v1/responses``."""

from functools import partial
from http import HTTPStatus
from typing import Annotated, Final

from attrs import evolve
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from domain.model.conversation import Conversation
from domain.model.identifiers import ConversationRef, MessageId, TurnRef
from domain.model.turn import Outcome, TurnEnd, TurnStatus
from domain.service.reply_reading import ReadTurn, read_turn
from entrypoints.http.authentication import ON_BEHALF_OF_HEADER
from entrypoints.http.documents import json_response
from entrypoints.http.endpoints import CHANGED, IMAGES, REPLY, STORED, USER_TEXT
from entrypoints.http.openai.bodies import ResponseBody
from entrypoints.http.openai.documents import (
    ConversationReference,
    DeletedResponseDocument,
    ItemListDocument,
    ResponseDocument,
    ResponseIdText,
)
from entrypoints.http.openai.errors import continuing, openai_error
from entrypoints.http.openai.event_documents import RESPONSE_EVENTS
from entrypoints.http.openai.events import ResponseEvents
from entrypoints.http.openai.item_references import continuing_referenced, resolve_references
from entrypoints.http.openai.items import conversation_id, items_of, response_id, turn_of_response
from entrypoints.http.openai.lists import (
    INCLUDE,
    PAGE_PARAMETERS,
    PAGE_PROBLEMS,
    check_stream_parameters,
    includes_encrypted,
    item_page,
    page_request,
    starting_after,
)
from entrypoints.http.openai.parameters import naming_parameters, problem_of_end
from entrypoints.http.openai.requests import (
    ResponseParameters,
    chain_name,
    parse_response_parameters,
)
from entrypoints.http.openai.responses import (
    ResponseSkeleton,
    item_status,
    output_items,
    status_of,
    stored_response,
    stored_skeleton,
)
from entrypoints.http.openai.services import (
    ApiCaller,
    ApiEndpoint,
    api_caller,
    openai_of,
    read_items_body,
)
from entrypoints.http.openai.streaming import (
    Batches,
    collect,
    collect_while_connected,
    event_stream,
    part_indexes,
)
from entrypoints.http.problems import BadRequest, Problem, problem_of
from entrypoints.http.requests import idempotency_key, person_of
from entrypoints.http.services import services_of
from entrypoints.http.sse import EventStream
from entrypoints.usecases.create_response import ResponseRequest
from entrypoints.usecases.open_turn import Started
from ports.errors import ShuttingDown


async def create(request: Request) -> Response:
    """``POST /v1/responses``: request a reply, as an event stream or as one document."""
    caller = api_caller(request)
    members, raw = await read_items_body(request)
    services = openai_of(request)
    resolved = await resolve_references(members, caller.owner, services.read_history)
    parameters = parse_response_parameters(
        resolved.members, services.message_limit, services.images
    )
    if resolved.referenced is not None:
        parameters = continuing_referenced(parameters, resolved.referenced, services.images)
    await services.budget.refresh()
    parameters = parameters.bounded(services.budget.current.reply_tokens)
    key, idempotency = idempotency_key(request, raw)
    response_request = ResponseRequest(
        inputs=parameters.inputs,
        payer=caller.payer,
        session_id=parameters.session_id,
        chain=chain_name(parameters, person_of(request)),
        after_turn=parameters.after_turn,
        options=parameters.options,
        note=parameters.note,
        idempotency_key=key,
        idempotency=idempotency,
    )
    following = services.following
    with continuing(), naming_parameters():
        await _require_referenced(request, caller, parameters)
        if parameters.store:
            started = await services.create_response(caller.owner, response_request)
            batches = following.stored(started.turn_ref)
        else:
            unstored = evolve(response_request, note=None)
            started, batches = await following.ephemeral(caller.owner, unstored)
    return await _reply(request, caller, parameters, started, batches)


async def retrieve(request: Request) -> Response:
    """``GET /v1/responses/{id}``: a stored response, as a document or as its events."""
    caller = api_caller(request)
    includes_encrypted(request)
    check_stream_parameters(request)
    conversation, turn = await _stored_turn(request, caller)
    if request.query_params.get("stream") == "true":
        return _stored_stream(request, caller, conversation, turn)
    return _response(request, caller, conversation, turn)


async def cancel(request: Request) -> Response:
    """``POST /v1/responses/{id}/cancel``: stop the reply; the text written so far is kept."""
    caller = api_caller(request)
    conversation, turn = await _stored_turn(request, caller)
    open_turn = conversation.open_turn
    if open_turn is not None and turn.status is TurnStatus.OPEN:
        ref = ConversationRef(caller.owner, conversation.id)
        await openai_of(request).stop_turn(ref, open_turn.id)
        conversation = await openai_of(request).read_history.after_turn(ref, turn.number)
        turn = read_turn(conversation, turn.number)
    return _response(request, caller, conversation, turn)


async def delete(request: Request) -> Response:
    """``DELETE /v1/responses/{id}``: forget one turn, with its input and its reply."""
    caller = api_caller(request)
    session_id, number = turn_of_response(request.path_params["id"])
    ref = ConversationRef(caller.owner, session_id)
    is_left = await openai_of(request).edit_items.delete_turn(ref, number)
    document = DeletedResponseDocument(
        id=response_id(session_id, number),
        object="response",
        conversation=ConversationReference(id=conversation_id(session_id)) if is_left else None,
    )
    return json_response(document, headers=caller.headers)


async def input_items(request: Request) -> Response:
    """``GET /v1/responses/{id}/input_items``: a page of all items before the reply."""
    caller = api_caller(request)
    page = page_request(request)
    session_id, number = turn_of_response(request.path_params["id"])
    conversation = await openai_of(request).read_history.whole(
        ConversationRef(caller.owner, session_id)
    )
    before = read_turn(conversation, number).before
    return json_response(item_page(items_of(session_id, before), page), headers=caller.headers)


async def _require_referenced(
    request: Request, caller: ApiCaller, parameters: ResponseParameters
) -> None:
    """Raise unless the conversation has every item that the input refers to.

    Raises:
        BadRequest: it does not have one of them.
        ConversationNotFound, TurnNotFound: what the request continues does not exist.
    """
    if not parameters.references or parameters.session_id is None:
        return
    ref = ConversationRef(caller.owner, parameters.session_id)
    conversation = await openai_of(request).read_history.whole(ref)
    messages = conversation.messages
    if parameters.after_turn is not None:
        turn = read_turn(conversation, parameters.after_turn)
        messages = (*turn.before, *((turn.reply,) if turn.reply else ()))
    known = {item.id for item in items_of(conversation.id, messages)}
    for path, item_id in parameters.references.items():
        if item_id not in known:
            why = f"The conversation has no item with the id in '{path}'; send the item itself."
            raise BadRequest("message_not_found", why, field=f"{path}.id")


async def _stored_turn(request: Request, caller: ApiCaller) -> tuple[Conversation, ReadTurn]:
    session_id, number = turn_of_response(request.path_params["id"])
    ref = ConversationRef(caller.owner, session_id)
    conversation = await openai_of(request).read_history.with_turn(ref, number)
    return conversation, read_turn(conversation, number)


def _response(
    request: Request, caller: ApiCaller, conversation: Conversation, turn: ReadTurn
) -> Response:
    encrypted = includes_encrypted(request)
    model = openai_of(request).model.name
    document = stored_response(conversation, turn, model, encrypted=encrypted)
    return json_response(document, headers=caller.headers)


def _stored_stream(
    request: Request, caller: ApiCaller, conversation: Conversation, read: ReadTurn
) -> Response:
    services, turn = openai_of(request), conversation.turn
    ref = ConversationRef(caller.owner, conversation.id)
    newest = TurnRef(ref, turn.id) if turn and turn.number == read.number else None
    model, encrypted = services.model.name, includes_encrypted(request)
    skeleton = stored_skeleton(conversation, read, model, encrypted=encrypted)
    events = partial(
        ResponseEvents,
        skeleton,
        obfuscated=request.query_params.get("include_obfuscation") != "false",
        after=starting_after(request),
    )
    leave = services_of(request).followers.add(caller.payer)
    if turn is not None and newest is not None and read.status is TurnStatus.OPEN:
        batches = services.following.stored(newest)
        stream = event_stream(batches, events(turn.reply_id), services.clock.now)
    else:
        reply = read.reply
        stream = event_stream(
            services.following.ended(newest, read),
            events(reply.id if reply else MessageId(""), part_indexes=part_indexes(read)),
            lambda: reply.created_at if reply else read.started_at,
        )
    return EventStream(stream, headers=caller.headers, on_end=leave)


async def _reply(
    request: Request,
    caller: ApiCaller,
    parameters: ResponseParameters,
    started: Started,
    batches: Batches,
) -> Response:
    services = openai_of(request)
    skeleton = ResponseSkeleton(
        id=response_id(started.conversation.id, started.turn.number),
        created_at=started.turn.opened_at,
        model=services.model.name,
        echo=parameters.echo,
        tools=parameters.tools,
        store=parameters.store,
        encrypted=parameters.encrypted,
    )
    reply_id = started.turn.reply_id
    if parameters.stream:
        events = ResponseEvents(skeleton, reply_id, obfuscated=parameters.obfuscated)
        stream = event_stream(batches, events, services.clock.now)
        return EventStream(stream, headers=caller.headers)
    if parameters.background:
        return json_response(skeleton.document("in_progress"), headers=caller.headers)
    if parameters.store:
        parts, end = await collect(batches)
    else:
        parts, end = await collect_while_connected(batches, request)
    problem = _problem(end, is_stored=parameters.store)
    if problem is not None:
        return openai_error(problem)
    output = output_items(
        started.conversation.id,
        reply_id,
        parts,
        item_status(end),
        encrypted=parameters.encrypted,
    )
    return json_response(skeleton.ended(end, output, services.clock.now()), headers=caller.headers)


def _problem(end: TurnEnd, *, is_stored: bool) -> Problem | None:
    """Why there is no response to show; None if there is one."""
    if status_of(end) == "failed":
        problem = problem_of_end(end)
        # If the input is stored, the client must not retry by itself.
        return evolve(problem, retry_after=None) if is_stored else problem
    if end.outcome is Outcome.INTERRUPTED and not is_stored:
        # Its client is there, so only the service can have interrupted it.
        return problem_of(ShuttingDown())
    return None


_RESPONSE: Final = {HTTPStatus.OK: [ResponseDocument]}
_RESPONSE_OR_EVENTS: Final = {HTTPStatus.OK: [ResponseDocument, RESPONSE_EVENTS]}
_ID: Final = {"id": ResponseIdText}
_HEADERS: Final = [ON_BEHALF_OF_HEADER]
_TAG: Final = "OpenAI: responses"
_NO_RESPONSE: Final = ("turn_not_found", "conversation_not_found")

ROUTES: Final = (
    ApiEndpoint(
        "/v1/responses",
        create,
        "POST",
        summary="Request a reply.",
        body=[ResponseBody],
        responses=_RESPONSE_OR_EVENTS,
        headers=["Idempotency-Key", ON_BEHALF_OF_HEADER],
        problems=[
            *REPLY,
            *USER_TEXT,
            *IMAGES,
            "parameter_unsupported",
            "parameter_too_long",
            "context_length_exceeded",
            "previous_response_not_found",
            "conversation_not_found",
            "message_not_found",
            "tool_call_not_found",
            "tool_result_too_long",
            "nothing_to_answer",
        ],
        tag=_TAG,
    ),
    ApiEndpoint(
        "/v1/responses/{id}",
        retrieve,
        "GET",
        summary="Get a stored response, or follow one that is being written.",
        responses=_RESPONSE_OR_EVENTS,
        query={
            **INCLUDE,
            "stream": Annotated[bool, Meta(description="Whether to stream the response.")],
            "starting_after": Annotated[
                int,
                Meta(ge=0, le=999_999_999, description="The number of the last event received."),
            ],
            "include_obfuscation": Annotated[
                bool, Meta(description="Whether the events of a stream are padded.")
            ],
        },
        in_path=_ID,
        headers=_HEADERS,
        problems=[
            *STORED,
            *_NO_RESPONSE,
            "body_invalid",
            "parameter_unsupported",
            "too_many_followers",
        ],
        tag=_TAG,
    ),
    ApiEndpoint(
        "/v1/responses/{id}",
        delete,
        "DELETE",
        summary="Forget one turn, with its input and its reply.",
        responses={HTTPStatus.OK: [DeletedResponseDocument]},
        in_path=_ID,
        headers=_HEADERS,
        problems=[*CHANGED, *_NO_RESPONSE, "turn_in_progress"],
        tag=_TAG,
    ),
    ApiEndpoint(
        "/v1/responses/{id}/cancel",
        cancel,
        "POST",
        summary="Stop the reply being written; the text written so far is kept.",
        responses=_RESPONSE,
        in_path=_ID,
        headers=_HEADERS,
        problems=[*CHANGED, *_NO_RESPONSE, "conversation_gone"],
        tag=_TAG,
    ),
    ApiEndpoint(
        "/v1/responses/{id}/input_items",
        input_items,
        "GET",
        summary="List all items before the reply.",
        responses={HTTPStatus.OK: [ItemListDocument]},
        query=PAGE_PARAMETERS,
        in_path=_ID,
        headers=_HEADERS,
        problems=[*STORED, *PAGE_PROBLEMS, *_NO_RESPONSE],
        tag=_TAG,
    ),
)
