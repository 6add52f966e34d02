"""The services of the routes of ``/v1``, and the authentication of their callers."""

import hashlib
from collections.abc import Mapping
from typing import ClassVar, Final

from attrs import frozen
from starlette.requests import Request

from domain.model.identifiers import Owner
from domain.model.rate_limits import Payer
from entrypoints.http.openai.documents import ErrorDocument
from entrypoints.http.openai.streaming import Following
from entrypoints.http.openapi import Endpoint
from entrypoints.http.problems import BadRequest
from entrypoints.http.services import Resolver, resolve_fields, services_of
from entrypoints.usecases.conversations import ForgetConversation, ReadHistory
from entrypoints.usecases.create_response import CreateResponse
from entrypoints.usecases.edit_items import CreateConversation, EditItems
from entrypoints.usecases.stop_turn import StopTurn
from ports.clock import Clock
from ports.errors import ClientKeyInvalid
from ports.language_model import LanguageModel

# "ck_" and 252 of the 256 random bits. The rest of a key changes when it is re-issued.
_DIGESTED_CHARACTERS: Final = 45


class ApiEndpoint(Endpoint):
    """A route of ``/v1``: requires a client key as a bearer token, and returns OpenAI's errors."""

    problem: ClassVar = ("application/json", ErrorDocument)
    security: ClassVar = [{"clientKey": []}]


@frozen(kw_only=True)
class OpenAIServices:
    """The services that the routes of ``/v1`` use, shared by all requests.

    Attributes:
        allowed: digests of the accepted client keys, in hexadecimal; if empty, all are accepted.
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
        payer: whose limits count the request.
        headers: response headers with the client key, if it was re-issued.
    """

    owner: Owner
    payer: Payer
    headers: Mapping[str, str]


def openai_services(container: Resolver, allowed: frozenset[str]) -> OpenAIServices:
    """The services; ``allowed`` has the digests of the accepted client keys."""
    return resolve_fields(
        container,
        OpenAIServices,
        following=resolve_fields(container, Following),
        allowed=allowed,
    )


def openai_of(request: Request) -> OpenAIServices:
    """The services of the app that serves this request."""
    services: OpenAIServices = request.state.openai
    return services


def api_caller(request: Request) -> ApiCaller:
    """The caller. Cookies are ignored, so a page of another site cannot use one.

    Raises:
        ClientKeyInvalid: there is no bearer token, or it is not a client key of this service.
        BadRequest: ``client_key_not_allowed`` if the key is not on the operator's list.
    """
    authenticator = services_of(request).authenticator
    authorization = request.headers.get("authorization")
    caller = authenticator.authenticate(request) if authorization is not None else None
    if authorization is None or caller is None:
        raise ClientKeyInvalid
    allowed = openai_of(request).allowed
    client_key = authorization.partition(" ")[2].strip()
    if allowed and key_digest(client_key) not in allowed:
        raise BadRequest("client_key_not_allowed", "This client key may not be used as an API key.")
    return ApiCaller(
        owner=caller.owner,
        payer=authenticator.payer(request, caller),
        headers=authenticator.key_headers(caller),
    )


def key_digest(client_key: str) -> str:
    """The digest of a client key for the operator's list; re-issuing the key does not change it."""
    return hashlib.sha256(client_key[:_DIGESTED_CHARACTERS].encode()).hexdigest()
