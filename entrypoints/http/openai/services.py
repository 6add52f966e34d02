"""What the routes of ``/v1`` work with, and who may come here."""

import hashlib
from collections.abc import Mapping
from typing import Final, Protocol, TypeVar

from attrs import frozen
from starlette.requests import Request

from domain.model.identifiers import Owner
from entrypoints.http.authentication import CallerRules, Visitor
from entrypoints.http.openai.streaming import Following
from entrypoints.http.problems import BadRequest
from entrypoints.http.services import services_of
from entrypoints.usecases.conversations import ForgetConversation, ReadHistory
from entrypoints.usecases.create_response import PutIn
from entrypoints.usecases.edit_items import BeginConversation, ChangeConversation
from entrypoints.usecases.ephemeral_reply import ReplyUnkept
from entrypoints.usecases.follow_turn import FollowTurn
from entrypoints.usecases.stop_turn import StopTurn
from ports.clock import Clock
from ports.errors import ClientKeyInvalid
from ports.language_model import LanguageModel

_Wanted = TypeVar("_Wanted")
# "ck_" and 252 of the 256 random bits: the rest changes when a key is signed anew.
_DIGESTED_CHARACTERS: Final = 45


class Resolver(Protocol):
    """Gives what was wired: the container, seen from here."""

    def resolve(self, service_key: type[_Wanted]) -> _Wanted:
        """The one instance, or a new use case over it."""
        ...


@frozen(kw_only=True)
class OpenAIServices:
    """One of each.

    Attributes:
        allowed: digests of the keys that may come, in hexadecimal; empty lets every key of ours in.
    """

    begin_conversation: BeginConversation
    change_conversation: ChangeConversation
    read_history: ReadHistory
    forget_conversation: ForgetConversation
    put_in: PutIn
    stop_turn: StopTurn
    following: Following
    model: LanguageModel
    clock: Clock
    allowed: frozenset[str]


@frozen(kw_only=True)
class Guest:
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
    return OpenAIServices(
        begin_conversation=container.resolve(BeginConversation),
        change_conversation=container.resolve(ChangeConversation),
        read_history=container.resolve(ReadHistory),
        forget_conversation=container.resolve(ForgetConversation),
        put_in=container.resolve(PutIn),
        stop_turn=container.resolve(StopTurn),
        following=Following(
            follow=container.resolve(FollowTurn), unkept=container.resolve(ReplyUnkept)
        ),
        model=container.resolve(LanguageModel),  # type: ignore[type-abstract]
        clock=container.resolve(Clock),  # type: ignore[type-abstract]
        allowed=allowed,
    )


def openai_of(request: Request) -> OpenAIServices:
    """The services of the app that serves this request."""
    services: OpenAIServices = request.state.openai
    return services


def guest_of(request: Request) -> Guest:
    """Who is calling. Only a bearer counts, so no page of another site can call unasked.

    Raises:
        ClientKeyInvalid: no key, or none of ours.
        BadRequest: ``client_key_not_allowed``, it is not on the operator's list.
    """
    callers = services_of(request).callers
    visitor = _shown(request, callers)
    return Guest(
        owner=visitor.owner,
        address=callers.address(request),
        headers=callers.handed_out(visitor),
    )


def digest_of(client_key: str) -> str:
    """What stands for a key on the operator's list; it stays the same when the key is re-issued."""
    return hashlib.sha256(client_key[:_DIGESTED_CHARACTERS].encode()).hexdigest()


def _shown(request: Request, callers: CallerRules) -> Visitor:
    authorization = request.headers.get("authorization")
    visitor = callers.recognise(request) if authorization is not None else None
    if authorization is None or visitor is None:
        raise ClientKeyInvalid
    allowed = openai_of(request).allowed
    client_key = authorization.partition(" ")[2].strip()
    if allowed and digest_of(client_key) not in allowed:
        raise BadRequest("client_key_not_allowed", "This client key may not be used as an API key.")
    return visitor
