"""The ASGI app: its routes, middleware, error responses and services."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from adapters.system.turn_runner import TaskTurnRunner
from domain.model.assistant import Assistant
from domain.model.errors import DomainError
from domain.model.limits import MessageLimit
from domain.model.rate_limits import Limit
from entrypoints.http import chat, health
from entrypoints.http.addresses import network_of
from entrypoints.http.ai_sdk import routes as ai_sdk
from entrypoints.http.api_reference import routes as api_reference
from entrypoints.http.authentication import REISSUED_KEY_HEADER, Authenticator, cookie_name
from entrypoints.http.fair_reads import FairReads
from entrypoints.http.followers import Followers
from entrypoints.http.large_transfers import LargeTransfers
from entrypoints.http.middleware import (
    BoundedUrl,
    KnownHosts,
    LocalePrefix,
    SecurityHeaders,
    UnexpectedErrors,
)
from entrypoints.http.native import client_keys, continuing, sessions, tool_results
from entrypoints.http.native import routes as native
from entrypoints.http.openai.errors import PREFIX as OPENAI_PREFIX
from entrypoints.http.openai.errors import openai_error
from entrypoints.http.openai.routes import ROUTES as OPENAI_ROUTES
from entrypoints.http.openai.services import openai_services
from entrypoints.http.openapi import openapi_endpoint
from entrypoints.http.page import routes as front_page
from entrypoints.http.page.assets import chat_page
from entrypoints.http.problems import EdgeError, Problem, problem_of
from entrypoints.http.reply_stream import ReplyStream
from entrypoints.http.services import Resolver, Services, resolve_fields
from entrypoints.settings import Settings
from ports.errors import PortError, TooManyRequests
from ports.telemetry import Telemetry

_EXPOSED: Final = (
    "x-session-id",
    "retry-after",
    "ratelimit",
    "ratelimit-policy",
    "date",
    REISSUED_KEY_HEADER,
)
_ALLOWED: Final = ("content-type", "authorization", "idempotency-key", "last-event-id")
_ROUTES: Final = (
    *chat.ROUTES,
    *native.ROUTES,
    *client_keys.ROUTES,
    *continuing.ROUTES,
    *tool_results.ROUTES,
    *sessions.ROUTES,
    *ai_sdk.ROUTES,
    *health.ROUTES,
    *OPENAI_ROUTES,
    *front_page.ROUTES,
)

REFUSALS: Final = frozenset(
    {
        "client_key_invalid",
        "client_key_not_allowed",
        "cross_site_request",
        "host_unknown",
        "too_many_requests",
        "budget_exhausted",
        "too_many_turns",
        "too_many_followers",
        "transfers_unfinished",
    }
)
"""The codes with which callers are refused because of who they are, or of how much they use."""


class ContainerFactory(Protocol):
    """Opens the container, which the app closes when it has stopped serving."""

    def __call__(self, settings: Settings) -> AbstractAsyncContextManager[Resolver]:
        """A context manager that opens and closes the container."""
        ...


def create_app(settings: Settings, open_container: ContainerFactory) -> Starlette:
    """The app; its lifespan opens the container.

    While it serves, ``app.state.runner`` is the turn runner; drain it before the app is stopped.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[Mapping[str, Any]]:
        async with open_container(settings) as container:
            services = _services(settings, container)
            app.state.runner = container.resolve(TaskTurnRunner)
            assistant = container.resolve(Assistant)
            v1 = openai_services(container, is_open=settings.is_v1_open)
            page = chat_page(assistant, container.resolve(MessageLimit))
            yield {"services": services, "assistant": assistant, "openai": v1, "page": page}

    routes = (*_ROUTES, *(api_reference.ROUTES if settings.docs else ()))
    cookie = cookie_name(is_https=settings.is_https)
    app = Starlette(
        routes=[*routes, openapi_endpoint(routes, cookie=cookie)],
        middleware=_middleware(settings),
        exception_handlers={
            DomainError: _problem,
            PortError: _problem,
            EdgeError: _problem,
            HTTPException: _problem,
        },
        lifespan=lifespan,
    )
    # A redirect would send the client to whatever host its request names.
    app.router.redirect_slashes = False
    return app


def _middleware(settings: Settings) -> Sequence[Middleware]:
    cross_origin = Middleware(
        CORSMiddleware,
        allow_origins=settings.embedding_origins,
        allow_credentials=True,
        allow_methods=("GET", "POST", "PATCH", "DELETE"),
        allow_headers=_ALLOWED,
        expose_headers=_EXPOSED,
        max_age=600,
    )
    return (
        Middleware(SecurityHeaders, hsts=settings.sends_hsts),
        Middleware(KnownHosts, hosts=_hosts(settings), render=_render),
        *((cross_origin,) if settings.embedding_origins else ()),
        Middleware(FairReads, address=_network_of),
        Middleware(LargeTransfers, address=_address_of, render=_render),
        Middleware(BoundedUrl, render=_render),
        Middleware(UnexpectedErrors, telemetry=_telemetry_of, render=_render),
        Middleware(LocalePrefix, locales=_locales_of),
    )


def _hosts(settings: Settings) -> Iterator[str]:
    yield from settings.hosts
    public = urlsplit(settings.public_url or "").hostname
    if public:
        yield public


def _address_of(scope: Scope) -> str:
    services: Services = scope["state"]["services"]
    return services.authenticator.address(Request(scope))


def _network_of(scope: Scope) -> str:
    return network_of(_address_of(scope))


def _telemetry_of(scope: Scope) -> Telemetry:
    services: Services = scope["state"]["services"]
    return services.telemetry


def _locales_of(scope: Scope) -> Sequence[str]:
    return tuple(scope["state"]["assistant"].welcomes)


def _render(problem: Problem, scope: Scope, limit: Limit | None = None) -> Response:
    """Return the response to a problem, in the format that clients of this path expect.

    A refusal is logged with the ``limit`` that was reached, if there is one.
    """
    if problem.code in REFUSALS:
        name = None if limit is None else limit.name
        _telemetry_of(scope).emit("request.refused", code=problem.code, limit=name)
    is_openai = scope["path"].startswith(OPENAI_PREFIX)
    return openai_error(problem) if is_openai else problem.response()


async def _problem(request: Request, error: Exception) -> Response:
    limit = error.limit if isinstance(error, TooManyRequests) else None
    response = _render(problem_of(error), request.scope, limit)
    if response.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        response.headers["allow"] = ", ".join(_methods_at(request))
    return response


def _methods_at(request: Request) -> Sequence[str]:
    """The methods of all routes at this path; Starlette lists only those of the first route."""
    routes: Sequence[Route] = request.app.router.routes
    matching = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in matching for method in route.methods or ()})


def _services(settings: Settings, container: Resolver) -> Services:
    authenticator = resolve_fields(
        container,
        Authenticator,
        public_origin=settings.public_url,
        embedding_origins=frozenset(settings.embedding_origins),
        proxies=settings.proxies,
        listed=frozenset(settings.api_key_digests),
        ignores_foreign_authorization=settings.ignores_foreign_authorization,
    )
    return resolve_fields(
        container,
        Services,
        reply_stream=resolve_fields(container, ReplyStream),
        authenticator=authenticator,
        followers=Followers(),
        accepts_new_turns=container.resolve(TaskTurnRunner).accepts_new_turns,
    )
