"""The use cases and ports that the routes work with, assembled at startup."""

from collections.abc import Callable
from typing import Protocol, TypeVar

import attrs
from attrs import AttrsInstance, frozen
from starlette.requests import Request

from domain.model.errors import ConversationNotFound
from domain.model.identifiers import Owner
from domain.model.limits import MessageLimit
from domain.service.user_images import ImagePolicy
from entrypoints.http.authentication import Authenticator, HttpCaller
from entrypoints.http.followers import Followers
from entrypoints.http.reply_stream import ReplyStream
from entrypoints.usecases.carry_over import CarryOver
from entrypoints.usecases.continue_reply import ContinueReply
from entrypoints.usecases.conversations import (
    CreateSession,
    FindConversation,
    ForgetConversation,
    PatchConversation,
    ReadHistory,
)
from entrypoints.usecases.regenerate import Regenerate
from entrypoints.usecases.send_message import SendMessage
from entrypoints.usecases.stop_turn import StopTurn
from entrypoints.usecases.submit_tool_results import SubmitToolResults
from ports.client_keys import ClientKeys
from ports.rate_limiter import RateLimiter
from ports.readiness import Readiness
from ports.telemetry import Telemetry

_Service = TypeVar("_Service")
_Kind = TypeVar("_Kind", bound=AttrsInstance)


@frozen(kw_only=True)
class Services:
    """The services that the routes use, shared by all requests.

    Attributes:
        authenticator: authenticates callers and checks origins.
        followers: counts the streams that follow replies.
        message_limit: how long a message of a person may be.
        accepts_new_turns: returns whether this process still accepts new turns.
    """

    create_session: CreateSession
    carry_over: CarryOver
    send_message: SendMessage
    regenerate: Regenerate
    continue_reply: ContinueReply
    submit_tool_results: SubmitToolResults
    find_conversation: FindConversation
    stop_turn: StopTurn
    read_history: ReadHistory
    patch_conversation: PatchConversation
    forget_conversation: ForgetConversation
    reply_stream: ReplyStream
    authenticator: Authenticator
    followers: Followers
    images: ImagePolicy
    keys: ClientKeys
    limiter: RateLimiter
    telemetry: Telemetry
    message_limit: MessageLimit
    accepts_new_turns: Callable[[], bool]
    readiness: Readiness


def require_owner(caller: HttpCaller | None) -> Owner:
    """The caller as the owner of conversations.

    Raises:
        ConversationNotFound: there is no caller, so no conversation can be theirs.
    """
    if caller is None:
        raise ConversationNotFound
    return caller.owner


def services_of(request: Request) -> Services:
    """The services of the app that serves this request."""
    services: Services = request.state.services
    return services


class Resolver(Protocol):
    """The part of the container that the app uses."""

    def resolve(self, service_key: type[_Service]) -> _Service:
        """The registered instance, or a new use case wired with registered instances."""
        ...


def resolve_fields(container: Resolver, kind: type[_Kind], **values: object) -> _Kind:
    """A ``kind`` with ``values`` in its fields; the other fields are resolved by their type."""
    resolved = {
        field.name: container.resolve(field.type)
        for field in attrs.fields(kind)
        if field.name not in values and field.type is not None
    }
    return kind(**values, **resolved)
