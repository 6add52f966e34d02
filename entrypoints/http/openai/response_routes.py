"""``/v1/responses``."""

from typing import Final

from attrs import evolve
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.model.conversation import Conversation
from domain.model.identifiers import ConversationRef
from domain.model.turn import TurnEnd, TurnStatus
from domain.service.reply_reading import ReadTurn, read_turn
from entrypoints.http.openai.conversations import answer
from entrypoints.http.openai.errors import continuing, openai_error
from entrypoints.http.openai.events import ResponseEvents
from entrypoints.http.openai.items import items_of, named_response, response_id
from entrypoints.http.openai.lists import check_includes, page_of, page_wanted, starting_after
from entrypoints.http.openai.members import read_members, unsupported
from entrypoints.http.openai.requests import (
    ParsedResponseRequest,
    parse_response_request,
)
from entrypoints.http.openai.responses import (
    ResponseSkeleton,
    item_status,
    output_items,
    status_of,
    stored_frame,
    stored_response,
)
from entrypoints.http.openai.services import ApiCaller, guest_of, openai_of
from entrypoints.http.openai.streaming import Batches, awaited, streamed
from entrypoints.http.problems import problem_of_code
from entrypoints.http.requests import idempotency_key
from entrypoints.http.sse import EventStream
from entrypoints.usecases.create_response import ResponseRequest
from entrypoints.usecases.open_turn import Started


async def create(request: Request) -> Response:
    """Ask for a reply: as events, or whole."""
    guest = guest_of(request)
    body, raw = await read_members(request)
    asked = parse_response_request(body)
    key, digests = idempotency_key(request, raw)
    new = ResponseRequest(
        inputs=asked.inputs,
        address=guest.address,
        session_id=asked.session_id,
        after_turn=asked.after_turn,
        options=asked.options,
        note=asked.note,
        idempotency_key=key,
        idempotency=digests,
    )
    following = openai_of(request).following
    with continuing():
        if asked.store:
            started = await openai_of(request).create_response(guest.owner, new)
            batches = following.stored(
                ConversationRef(guest.owner, started.conversation.id), started.turn
            )
        else:
            started, batches = await following.ephemeral(guest.owner, evolve(new, note=None))
    return await _reply(request, guest, asked, started, batches)


async def retrieve(request: Request) -> Response:
    """A response that is kept."""
    guest = guest_of(request)
    check_includes(request)
    conversation, turn = await _stored(request, guest)
    if request.query_params.get("stream") == "true":
        return _replayed(request, guest, conversation, turn)
    return _told(request, guest, conversation, turn)


async def cancel(request: Request) -> Response:
    """Stop a reply that is being written; what was said stays. An ended one stays as it is."""
    guest = guest_of(request)
    conversation, turn = await _stored(request, guest)
    running = conversation.open_turn
    if running is not None and turn.status is TurnStatus.OPEN:
        await openai_of(request).stop_turn(
            ConversationRef(guest.owner, conversation.id), running.id
        )
        conversation, turn = await _stored(request, guest)
    return _told(request, guest, conversation, turn)


async def delete(request: Request) -> Response:
    """Forget a turn: what was put in and what was replied."""
    guest = guest_of(request)
    session_id, number = named_response(request.path_params["id"])
    await openai_of(request).edit_items.delete_turn(
        ConversationRef(guest.owner, session_id), number
    )
    name = response_id(session_id, number)
    return answer({"id": name, "object": "response", "deleted": True}, guest.headers)


async def input_items(request: Request) -> Response:
    """A page of what the model was to reply to, earlier turns included."""
    guest = guest_of(request)
    wanted = page_wanted(request)
    _, turn = await _stored(request, guest)
    return answer(page_of(items_of(turn.before), wanted), guest.headers)


async def _stored(request: Request, guest: ApiCaller) -> tuple[Conversation, ReadTurn]:
    session_id, number = named_response(request.path_params["id"])
    conversation = await openai_of(request).read_history.whole(
        ConversationRef(guest.owner, session_id)
    )
    return conversation, read_turn(conversation, number)


def _told(
    request: Request, guest: ApiCaller, conversation: Conversation, turn: ReadTurn
) -> Response:
    model = openai_of(request).model.name
    return answer(stored_response(conversation, turn, model), guest.headers)


def _replayed(
    request: Request, guest: ApiCaller, conversation: Conversation, read: ReadTurn
) -> Response:
    services, turn = openai_of(request), conversation.open_turn
    if turn is None or read.status is not TurnStatus.OPEN:
        unsupported("stream", "The response has ended; retrieve it whole.")
    events = ResponseEvents(
        stored_frame(conversation, read, services.model.name),
        turn.reply_id,
        obfuscated=request.query_params.get("include_obfuscation") != "false",
        after=starting_after(request),
    )
    batches = services.following.stored(ConversationRef(guest.owner, conversation.id), turn)
    return EventStream(streamed(batches, events, services.clock), headers=guest.headers)


async def _reply(
    request: Request,
    guest: ApiCaller,
    asked: ParsedResponseRequest,
    started: Started,
    batches: Batches,
) -> Response:
    services = openai_of(request)
    frame = ResponseSkeleton(
        id=response_id(started.conversation.id, started.turn.number),
        created_at=started.turn.opened_at,
        model=services.model.name,
        echo=asked.echo,
        tools=asked.tools,
        store=asked.store,
    )
    reply_id = started.turn.reply_id
    if asked.stream:
        events = ResponseEvents(frame, reply_id, obfuscated=asked.obfuscated)
        return EventStream(streamed(batches, events, services.clock), headers=guest.headers)
    if asked.background:
        return answer(frame.document("in_progress"), guest.headers)
    parts, end = await awaited(batches)
    if status_of(end) == "failed":
        return _failed(end)
    output = output_items(reply_id, parts, item_status(end))
    return answer(frame.ended(end, output, services.clock.now()), guest.headers)


def _failed(end: TurnEnd) -> Response:
    # What was put in is stored: asking again must be the caller's decision.
    problem = evolve(problem_of_code(end.error or "internal_error"), retry_after=None)
    return openai_error(problem)


_ONE: Final = "/v1/responses/{id}"

ROUTES: Final = (
    Route("/v1/responses", create, methods=["POST"]),
    Route(_ONE, retrieve, methods=["GET"]),
    Route(_ONE, delete, methods=["DELETE"]),
    Route(f"{_ONE}/cancel", cancel, methods=["POST"]),
    Route(f"{_ONE}/input_items", input_items, methods=["GET"]),
)
