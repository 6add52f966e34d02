"""Calls the use case for a request from the AI SDK."""

from collections.abc import Sequence

from attrs import evolve, frozen

from domain.model.errors import ConversationNotFound, DomainError, MessageNotFound
from domain.model.identifiers import MessageId, Owner
from domain.model.rate_limits import Payer
from domain.model.turn import IdempotencyKey
from entrypoints.http.ai_sdk.bodies import (
    AiSdkBody,
    UiMessage,
    has_earlier_user_message,
    metadata_of,
    reject_system_messages,
    storable_id,
    tool_results_of,
    user_parts,
)
from entrypoints.http.problems import BadRequest
from entrypoints.http.requests import read_page_context
from entrypoints.http.services import Services
from entrypoints.usecases.continue_reply import ContinueRequest
from entrypoints.usecases.open_turn import OnBusy, OnWait, Started
from entrypoints.usecases.regenerate import RegenerateRequest
from entrypoints.usecases.send_message import NewMessage
from entrypoints.usecases.submit_tool_results import ToolResults


@frozen(kw_only=True)
class AiSdkRequest:
    """A parsed request.

    Attributes:
        owner: the caller, as the owner of conversations.
        newest: the newest message in the body; None if there is none.
        payer: whose limits count the request.
        locales: the language tags in the body and the path, best first.
        first_locales: the same, or those of the browser if there are none and this begins a chat.
        idempotency: the digests of the Idempotency-Key and the request; None without the header.
        on_wait: as in ``TurnRequest``.
    """

    owner: Owner
    body: AiSdkBody
    newest: UiMessage | None
    payer: Payer
    locales: Sequence[str]
    first_locales: Sequence[str]
    idempotency: IdempotencyKey | None
    on_wait: OnWait | None = None

    @property
    def on_busy(self) -> OnBusy:
        """INTERRUPT by default, because the ``stop`` of ``useChat`` only closes the connection."""
        return OnBusy(self.body.on_busy or OnBusy.INTERRUPT)

    @property
    def newest_seen(self) -> MessageId | None:
        """The newest message that the client shows; None if it does not say, or forces the request.

        The client cuts its list at the message that it edits or whose reply it replaces. Only if
        it names no message, the end of its list is also the end of what it shows.
        """
        body = self.body
        if body.force:
            return None
        if body.last_message_id is not None:
            return storable_id(body.last_message_id)
        is_cut = body.message_id is not None or not body.messages
        return None if is_cut or self.newest is None else storable_id(self.newest.id)


async def dispatch(services: Services, request: AiSdkRequest) -> Started:
    """Call the use case for the request; returns the turn to follow.

    Raises:
        BadRequest: there is no message to answer, or there is a system message.
        DomainError, PortError: see the use cases; nothing was changed.
    """
    newest = request.newest
    reject_system_messages(request.body)
    if request.body.continues:
        return await _continue_reply(services, request)
    if request.body.is_regeneration:
        return await _regenerate(services, request)
    if newest is None:
        raise BadRequest("body_invalid", "There is no message to answer.", field="messages")
    if newest.role == "assistant":
        return await _submit_tool_results(services, request, newest)
    return await _send_message(services, request, newest)


async def _continue_reply(services: Services, request: AiSdkRequest) -> Started:
    newest = request.newest
    shown = newest.id if newest is not None and newest.role == "assistant" else ""
    continuation = ContinueRequest(
        message_id=storable_id(request.body.message_id or shown),
        session_id=await services.find_conversation(request.owner, request.body.id),
        payer=request.payer,
        on_wait=request.on_wait,
        idempotency=request.idempotency,
    )
    return await services.continue_reply(request.owner, continuation)


async def _regenerate(services: Services, request: AiSdkRequest) -> Started:
    """Replace the reply that the request names, or else the reply to the newest user message.

    A user message that the server does not have yet is sent now.
    """
    session_id = await services.find_conversation(request.owner, request.body.id)
    not_found: DomainError = MessageNotFound()
    for message_id in _regeneration_targets(request):
        regeneration = RegenerateRequest(
            session_id=session_id,
            payer=request.payer,
            message_id=message_id,
            newest_seen=request.newest_seen,
            locales=request.locales,
            on_busy=request.on_busy,
            on_wait=request.on_wait,
            idempotency=request.idempotency,
        )
        try:
            return await services.regenerate(request.owner, regeneration)
        except (ConversationNotFound, MessageNotFound) as error:
            not_found = error
    if request.newest is not None:
        return await _send_message(services, request, request.newest)
    raise not_found


def _regeneration_targets(request: AiSdkRequest) -> Sequence[MessageId | None]:
    """The messages to try, in order; None means the newest user message."""
    reply = storable_id(request.body.message_id or "")
    question = storable_id(request.newest.id) if request.newest else None
    ids = [message_id for message_id in dict.fromkeys((reply, question)) if message_id is not None]
    return ids or [None]


async def _submit_tool_results(
    services: Services, request: AiSdkRequest, newest: UiMessage
) -> Started:
    results = ToolResults(
        results=tool_results_of(newest),
        session_id=await services.find_conversation(request.owner, request.body.id),
        payer=request.payer,
        on_busy=request.on_busy,
        on_wait=request.on_wait,
        idempotency=request.idempotency,
    )
    return await services.submit_tool_results(request.owner, results)


async def _send_message(services: Services, request: AiSdkRequest, newest: UiMessage) -> Started:
    body, owner = request.body, request.owner
    is_edit = body.message_id is not None and body.message_id == newest.id
    message = NewMessage(
        parts=(
            *user_parts(newest, services.images, services.message_limit),
            *metadata_of(newest),
        ),
        payer=request.payer,
        message_id=storable_id(newest.id),
        # The client marks edits, and creates a new id for every other message.
        is_new=not is_edit,
        is_edit=is_edit,
        newest_seen=request.newest_seen,
        locales=request.first_locales,
        page_context=read_page_context(body.context),
        on_busy=request.on_busy,
        on_wait=request.on_wait,
        idempotency=request.idempotency,
    )
    message = evolve(
        message,
        session_id=await services.find_conversation(owner, body.id),
        create_as=services.find_conversation.derived_id(owner, body.id),
    )
    started = await services.send_message(owner, message)
    # The client shows earlier messages, but this is a first turn: the server forgot them.
    is_first = started.turn.number == 1
    return evolve(started, restarted=is_first and has_earlier_user_message(body))
