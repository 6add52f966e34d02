"""What the routes of ``/v1`` work with, and who may call them."""

import hashlib
from collections.abc import Mapping
from typing import ClassVar, Final, Protocol, TypeVar

from attrs import frozen
from starlette.requests import Request

from domain.model.identifiers import Owner
from entrypoints.http.openai.documents import ErrorDocument
from entrypoints.http.openai.streaming import Following
from entrypoints.http.openapi import Endpoint
from entrypoints.http.problems import BadRequest
from entrypoints.http.services import services_of
from entrypoints.usecases.conversations import ForgetConversation, ReadHistory
from entrypoints.usecases.create_response import CreateResponse
from entrypoints.usecases.edit_items import CreateConversation, EditItems
from entrypoints.usecases.ephemeral_reply import EphemeralReply
from entrypoints.usecases.follow_turn import FollowTurn
from entrypoints.usecases.stop_turn import StopTurn
from ports.clock import Clock
from ports.errors import ClientKeyInvalid
from ports.language_model import LanguageModel

_Service = TypeVar("_Service")
# "ck_" and 252 of the 256 random bits: what follows changes when a key is re-issued.
_DIGESTED_CHARACTERS: Final = 45


class ApiEndpoint(Endpoint):
    """A route of ``/v1``: it requires a client key as bearer, and has OpenAI's problems."""

    problem: ClassVar = ("application/json", ErrorDocument)
    security: ClassVar = [{"clientKey": []}]


class Resolver(Protocol):
    """What this module needs of the container."""

    def resolve(self, service_key: type[_Service]) -> _Service:
        """The one instance, or a new use case over it."""
        ...


@frozen(kw_only=True)
class OpenAIServices:
    """One of each.

    Attributes:
        allowed: digests of the client keys that may be used, in hexadecimal; empty allows all.
    """

    create_conversation: CreateConversation
    edit_items: EditItems
    read_history: ReadHistory
    forget_conversation: ForgetConversation
    create_response: CreateResponse
    stop_turn: StopTurn
    following: Following
    model: LanguageModel
    clock: Clock
    allowed: frozenset[str]


@frozen(kw_only=True)
class ApiCaller:
    """An authenticated caller.

    Attributes:
        address: what limits are counted by.
        headers: response headers that hand out the client key when it was re-issued.
    """

    owner: Owner
    address: str
    headers: Mapping[str, str]


def openai_services(container: Resolver, allowed: frozenset[str]) -> OpenAIServices:
    """The services, resolved once."""
    return OpenAIServices(
        create_conversation=container.resolve(CreateConversation),
        edit_items=container.resolve(EditItems),
        read_history=container.resolve(ReadHistory),
        forget_conversation=container.resolve(ForgetConversation),
        create_response=container.resolve(CreateResponse),
        stop_turn=container.resolve(StopTurn),
        following=Following(
            follow_turn=container.resolve(FollowTurn),
            ephemeral_reply=container.resolve(EphemeralReply),
        ),
        model=container.resolve(LanguageModel),  # type: ignore[type-abstract]
        clock=container.resolve(Clock),  # type: ignore[type-abstract]
        allowed=allowed,
    )


def openai_of(request: Request) -> OpenAIServices:
    """The services of the app that serves this request."""
    services: OpenAIServices = request.state.openai
    return services


def api_caller(request: Request) -> ApiCaller:
    """The caller. Only a bearer counts, so a page of another site cannot call with a cookie.

    Raises:
        ClientKeyInvalid: there is no bearer, or it is not a client key of this service.
        BadRequest: ``client_key_not_allowed``, the key is not on the operator's list.
    """
    callers = services_of(request).callers
    authorization = request.headers.get("authorization")
    caller = callers.authenticate(request) if authorization is not None else None
    if authorization is None or caller is None:
        raise ClientKeyInvalid
    allowed = openai_of(request).allowed
    client_key = authorization.partition(" ")[2].strip()
    if allowed and key_digest(client_key) not in allowed:
        raise BadRequest("client_key_not_allowed", "This client key may not be used as an API key.")
    return ApiCaller(
        owner=caller.owner,
        address=callers.address(request),
        headers=callers.key_headers(caller),
    )


def key_digest(client_key: str) -> str:
    """What the operator's list has for a key; it stays the same when the key is re-issued."""
    return hashlib.sha256(client_key[:_DIGESTED_CHARACTERS].encode()).hexdigest()
