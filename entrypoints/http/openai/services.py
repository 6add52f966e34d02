"""The services of the routes of ``/v1``, and the authentication of their callers."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from attrs import frozen
from starlette.requests import Request

from domain.model.identifiers import Owner
from domain.model.limits import MessageLimit
from domain.model.rate_limits import Payer
from domain.service.user_images import ImagePolicy
from entrypoints.http.authentication import HttpCaller
from entrypoints.http.endpoints import Endpoint
from entrypoints.http.images import body_limit, check_text_size
from entrypoints.http.openai.bodies import items_body_bytes
from entrypoints.http.openai.documents import ErrorDocument
from entrypoints.http.openai.examples import EXAMPLES
from entrypoints.http.openai.streaming import Following
from entrypoints.http.problems import BadRequest
from entrypoints.http.requests import parse, read_json
from entrypoints.http.services import Resolver, resolve_fields, services_of
from entrypoints.usecases.conversations import ForgetConversation, ReadHistory
from entrypoints.usecases.create_response import CreateResponse
from entrypoints.usecases.edit_items import CreateConversation, EditItems
from entrypoints.usecases.prompt_budget import PromptBudget
from entrypoints.usecases.stop_turn import StopTurn
from ports.clock import Clock
from ports.language_model import LanguageModel


class ApiEndpoint(Endpoint):
    """A route of ``/v1``: requires a client key as a bearer token, and returns OpenAI's errors."""

    problem: ClassVar = ("application/json", ErrorDocument)
    code_at: ClassVar = ("error", "code")
    security: ClassVar = [{"clientKey": []}]
    tag = "OpenAI"
    examples = EXAMPLES
    response_headers = ("Privity-Client-Key",)
    problem_headers: ClassVar = ("X-Should-Retry",)

    def codes_of(self, problems: Sequence[str]) -> Sequence[str]:
        """The same codes, and OpenAI's own for a limit that is reached."""
        is_limited = "too_many_requests" in problems
        return [*problems, *(["rate_limit_exceeded"] if is_limited else [])]


@frozen(kw_only=True)
class OpenAIServices:
    """The services that the routes of ``/v1`` use, shared by all requests.

    Attributes:
        message_limit: how long a message of a person may be.
        is_open: whether every client key is accepted; otherwise, only those of the operator are.
    """

    create_conversation: CreateConversation
    edit_items: EditItems
    read_history: ReadHistory
    forget_conversation: ForgetConversation
    create_response: CreateResponse
    stop_turn: StopTurn
    following: Following
    model: LanguageModel
    budget: PromptBudget
    clock: Clock
    images: ImagePolicy
    message_limit: MessageLimit
    is_open: bool


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


def openai_services(container: Resolver, *, is_open: bool) -> OpenAIServices:
    """The services; ``is_open`` if every client key is accepted."""
    return resolve_fields(
        container,
        OpenAIServices,
        following=resolve_fields(container, Following),
        is_open=is_open,
    )


def openai_of(request: Request) -> OpenAIServices:
    """The services of the app that serves this request."""
    services: OpenAIServices = request.state.openai
    return services


async def read_items(request: Request) -> bytes:
    """A body that may contain items or messages with images.

    Raises:
        BadRequest: see ``read_json`` and ``check_text_size``.
    """
    services = openai_of(request)
    text_limit = items_body_bytes(services.message_limit)
    raw = await read_json(request, partial(body_limit, text_limit, services.images))
    check_text_size(raw, text_limit)
    return raw


async def read_items_body(request: Request) -> tuple[Mapping[str, Any], bytes]:
    """The members of a body that may contain items with images, and its bytes.

    Raises:
        BadRequest: see ``read_items`` and ``parse``.
    """
    raw = await read_items(request)
    return parse(raw or b"{}", dict), raw


def api_caller(request: Request) -> ApiCaller:
    """The caller. Cookies are ignored, so a page of another site cannot use one.

    Raises:
        ClientKeyInvalid: there is no bearer token, or it is not a client key of this service.
        BadRequest: ``client_key_not_allowed`` if the operator neither issued nor listed the key.
    """
    authenticator = services_of(request).authenticator
    caller = authenticator.authenticate_bearer(request)
    if not _is_accepted(request, authenticator.listed, caller):
        why = (
            "This client key may not be used as an API key. The operator issues one with "
            "`privity new-client-key`."
        )
        raise BadRequest("client_key_not_allowed", why)
    return ApiCaller(
        owner=caller.owner,
        payer=authenticator.payer(request, caller),
        headers=authenticator.key_headers(caller),
    )


def _is_accepted(request: Request, listed: frozenset[str], caller: HttpCaller) -> bool:
    if listed:
        return caller.is_listed
    return caller.is_trusted or openai_of(request).is_open
