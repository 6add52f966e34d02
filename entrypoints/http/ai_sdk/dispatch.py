"""What a body of the AI SDK asks of the use cases."""

from collections.abc import Sequence

from attrs import evolve, frozen

from domain.model.errors import ConversationNotFound, DomainError, MessageNotFound
from domain.model.identifiers import MessageId, Owner, SessionId
from domain.model.turn import IdempotencyKey
from domain.service.user_input import page_context
from entrypoints.http.ai_sdk.bodies import (
    AiSdkBody,
    UiMessage,
    has_earlier_user_message,
    newest_message,
    storable_id,
    text_of,
    tool_results_of,
)
from entrypoints.http.problems import BadRequest
from entrypoints.http.services import Services
from entrypoints.usecases.open_turn import OnBusy, Started
from entrypoints.usecases.regenerate import RegenerateRequest
from entrypoints.usecases.send_message import NewMessage
from entrypoints.usecases.submit_tool_results import ToolResults


@frozen(kw_only=True)
class AiSdkRequest:
    """One request, read.

    Attributes:
        newest: the newest message that was sent; absent without one.
        locales: wanted, best first.
        idempotency: the Idempotency-Key as digests; absent without one.
    """

    owner: Owner
    body: AiSdkBody
    newest: UiMessage | None
    address: str
    locales: Sequence[str]
    idempotency: IdempotencyKey | None

    @property
    def on_busy(self) -> OnBusy:
        """By default a running reply makes way: the client's own stop only hangs up."""
        return OnBusy(self.body.on_busy or OnBusy.INTERRUPT)


async def dispatch(services: Services, asking: AiSdkRequest) -> Started:
    """The turn that answers.

    Raises:
        BadRequest: there is no message to answer.
        DomainError, PortError: as the use cases do; nothing was changed.
    """
    newest = asking.newest
    if asking.body.is_regeneration:
        return await _again(services, asking)
    if newest is None or newest.role == "system":
        raise BadRequest("body_invalid", "There is no message to answer.", field="messages")
    if newest.role == "assistant":
        return await _going_on(services, asking, newest)
    return await _said(services, asking, newest)


def newest_of(body: AiSdkBody) -> UiMessage | None:
    """The newest message; of a wish for another answer only what a user said counts."""
    newest = newest_message(body)
    if newest is not None and body.is_regeneration and newest.role != "user":
        return None
    return newest


async def _said(services: Services, asking: AiSdkRequest, newest: UiMessage) -> Started:
    body, owner = asking.body, asking.owner
    context = body.page_context
    is_edit = body.message_id is not None and body.message_id == newest.id
    message = NewMessage(
        text=text_of(newest),
        address=asking.address,
        message_id=storable_id(newest.id),
        # Its client tells of an edit, and makes an id for everything else that is said.
        is_new=not is_edit,
        is_edit=is_edit,
        locales=asking.locales,
        page_context=None if context is None else page_context(context),
        on_busy=asking.on_busy,
        idempotency=asking.idempotency,
    )
    message = evolve(
        message,
        session_id=await services.find_conversation(owner, body.id),
        begin_as=services.find_conversation.derived_id(owner, body.id),
    )
    started = await services.send_message(owner, message)
    # A client that shows more than the first turn shows what has been forgotten here.
    is_first = started.turn.number == 1
    return evolve(started, restarted=is_first and has_earlier_user_message(body))


async def _going_on(services: Services, asking: AiSdkRequest, newest: UiMessage) -> Started:
    answers = ToolResults(
        results=tool_results_of(newest),
        session_id=await services.find_conversation(asking.owner, asking.body.id),
        address=asking.address,
        on_busy=asking.on_busy,
        idempotency=asking.idempotency,
    )
    return await services.submit_tool_results(asking.owner, answers)


async def _again(services: Services, asking: AiSdkRequest) -> Started:
    """Another answer: instead of the named reply, else to the newest words that were sent.

    Words that never arrived here are said now.
    """
    session_id = await services.find_conversation(asking.owner, asking.body.id)
    absent: DomainError = MessageNotFound()
    for named in _candidates(asking):
        try:
            return await services.regenerate(asking.owner, _wish(asking, session_id, named))
        except (ConversationNotFound, MessageNotFound) as error:
            absent = error
    if asking.newest is not None:
        return await _said(services, asking, asking.newest)
    raise absent


def _candidates(asking: AiSdkRequest) -> Sequence[MessageId | None]:
    told = storable_id(asking.body.message_id or "")
    said = storable_id(asking.newest.id) if asking.newest else None
    named = [name for name in dict.fromkeys((told, said)) if name is not None]
    return named or [None]


def _wish(
    asking: AiSdkRequest, session_id: SessionId, named: MessageId | None
) -> RegenerateRequest:
    return RegenerateRequest(
        session_id=session_id,
        address=asking.address,
        message_id=named,
        on_busy=asking.on_busy,
        idempotency=asking.idempotency,
    )
