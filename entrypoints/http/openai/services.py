"""What the routes of ``/v1`` work with, and who may come here."""

import hashlib
from collections.abc import Mapping
from typing import Final

from attrs import frozen
from starlette.requests import Request

from domain.model.identifiers import Owner
from entrypoints.http.authentication import Authenticator, HttpCaller
from entrypoints.http.openai.streaming import Following
from entrypoints.http.problems import BadRequest
from entrypoints.http.services import Resolver, resolve_fields, services_of
from entrypoints.usecases.conversations import ForgetConversation, ReadHistory
from entrypoints.usecases.create_response import CreateResponse
from entrypoints.usecases.edit_items import CreateConversation, EditItems
from entrypoints.usecases.stop_turn import StopTurn
from ports.clock import Clock
from ports.errors import ClientKeyInvalid
from ports.language_model import LanguageModel

# "ck_" and 252 of the 256 random bits: the rest changes when a key is signed anew.
_DIGESTED_CHARACTERS: Final = 45


@frozen(kw_only=True)
class OpenAIServices:
    """One of each.

    Attributes:
        allowed: digests of the keys that may come, in hexadecimal; empty lets every key of ours in.
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
        headers: what hands out its key anew after a rotation.
    """

    owner: Owner
    address: str
    headers: Mapping[str, str]


def openai_services(container: Resolver, allowed: frozenset[str]) -> OpenAIServices:
    """The services, resolved once."""
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


def guest_of(request: Request) -> ApiCaller:
    """Who is calling. Only a bearer counts, so no page of another site can call unasked.

    Raises:
        ClientKeyInvalid: no key, or none of ours.
        BadRequest: ``client_key_not_allowed``, it is not on the operator's list.
    """
    callers = services_of(request).callers
    visitor = _shown(request, callers)
    return ApiCaller(
        owner=visitor.owner,
        address=callers.address(request),
        headers=callers.key_headers(visitor),
    )


def digest_of(client_key: str) -> str:
    """What stands for a key on the operator's list; it stays the same when the key is re-issued."""
    return hashlib.sha256(client_key[:_DIGESTED_CHARACTERS].encode()).hexdigest()


def _shown(request: Request, callers: Authenticator) -> HttpCaller:
    authorization = request.headers.get("authorization")
    visitor = callers.authenticate(request) if authorization is not None else None
    if authorization is None or visitor is None:
        raise ClientKeyInvalid
    allowed = openai_of(request).allowed
    client_key = authorization.partition(" ")[2].strip()
    if allowed and digest_of(client_key) not in allowed:
        raise BadRequest("client_key_not_allowed", "This client key may not be used as an API key.")
    return visitor
