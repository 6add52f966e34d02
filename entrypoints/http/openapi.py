"""Routes with descriptions, and the OpenAPI document that is generated from them.

The schemas of bodies and responses come from the types that the routes decode and encode.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import cache
from http import HTTPStatus
from importlib.metadata import version
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrypoints.http.documents import ProblemDocument

EVENT_STREAM: Final = "text/event-stream"
Positive = Annotated[int, Meta(ge=1)]

_JSON: Final = "application/json"


class Endpoint(Route):
    """A route with its description.

    Attributes:
        problem: the media type of every problem, and the type of its document.
        security: the security requirements; None means those of the whole document.
    """

    problem: ClassVar[tuple[str, type]] = ("application/problem+json", ProblemDocument)
    security: ClassVar[Sequence[Mapping[str, Sequence[str]]] | None] = None

    def __init__(
        self,
        path: str,
        handler: Callable[[Request], Awaitable[Response]],
        method: str,
        *,
        summary: str,
        responses: Mapping[HTTPStatus, Sequence[Any]],
        body: Sequence[type] = (),
        query: Mapping[str, Any] = MappingProxyType({}),
        headers: Sequence[str] = (),
    ) -> None:
        """Route ``method`` of ``path`` to ``handler``.

        Args:
            path: in Starlette's syntax.
            handler: returns the response to a request.
            method: the HTTP method.
            summary: what the route does, in one sentence.
            responses: what a successful response contains, by status: a type stands for JSON of
                that type, and a string for another media type.
            body: the types of the JSON bodies that it accepts, one per client protocol.
            query: the types of the query parameters, by name; a ``*`` marks a required one.
            headers: the request headers that it reads.
        """
        super().__init__(path, handler, methods=[method])
        self.method = method.lower()
        self.summary = summary
        self.body = body
        self.responses = responses
        self.query = query
        self.headers = headers

    @property
    def types(self) -> Iterator[Any]:
        """The types of all bodies, responses and problems."""
        yield from self.body
        for contents in self.responses.values():
            yield from (kind for kind in contents if not isinstance(kind, str))
        yield self.problem[1]


def document(routes: Sequence[BaseRoute]) -> dict[str, Any]:
    """The OpenAPI 3.1 document of all endpoints among ``routes``."""
    endpoints = [route for route in routes if isinstance(route, Endpoint)]
    types = list(dict.fromkeys(kind for endpoint in endpoints for kind in endpoint.types))
    references, components = msgspec.json.schema_components(
        types, ref_template="#/components/schemas/{name}"
    )
    schemas = dict(zip(types, references, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path_format, {})[endpoint.method] = _operation(endpoint, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Privity", "version": version("privity")},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "clientKey": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "__Host-privity"},
            },
        },
        "security": [{"clientKey": []}, {"cookie": []}, {}],
    }


def openapi_endpoint(routes: Sequence[BaseRoute]) -> Endpoint:
    """``GET /openapi.json``: describes ``routes`` and itself."""

    @cache
    def encoded() -> bytes:
        return msgspec.json.encode(document([*routes, endpoint]))

    async def openapi(_: Request) -> Response:
        headers = {"cache-control": "public, max-age=300"}
        return Response(encoded(), media_type=_JSON, headers=headers)

    endpoint = Endpoint(
        "/openapi.json",
        openapi,
        "GET",
        summary="Get this document.",
        responses={HTTPStatus.OK: [dict[str, Any]]},
    )
    return endpoint


def _operation(endpoint: Endpoint, schemas: Mapping[Any, Any]) -> dict[str, Any]:
    media_type, problem = endpoint.problem
    responses = {
        str(status.value): _success(status, contents, schemas)
        for status, contents in endpoint.responses.items()
    }
    failure = {"description": "A problem.", "content": {media_type: {"schema": schemas[problem]}}}
    operation: dict[str, Any] = {
        "summary": endpoint.summary,
        "operationId": _operation_id(endpoint),
        "parameters": [*_parameters(endpoint)],
        "responses": {**responses, "default": failure},
    }
    if endpoint.body:
        bodies = [schemas[kind] for kind in endpoint.body]
        schema = bodies[0] if len(bodies) == 1 else {"anyOf": bodies}
        operation["requestBody"] = {"required": True, "content": {_JSON: {"schema": schema}}}
    if endpoint.security is not None:
        operation["security"] = endpoint.security
    return operation


def _operation_id(endpoint: Endpoint) -> str:
    words = [
        "one" if word.startswith("{") else word for word in endpoint.path_format.split("/") if word
    ]
    return "-".join((endpoint.method, *words))


def _parameters(endpoint: Endpoint) -> Iterator[dict[str, Any]]:
    for name in endpoint.param_convertors:
        yield _parameter(f"{name}*", "path", str)
    for name, kind in endpoint.query.items():
        yield _parameter(name, "query", kind)
    for name in endpoint.headers:
        yield _parameter(name, "header", str)


def _parameter(name: str, location: str, kind: Any) -> dict[str, Any]:
    return {
        "name": name.rstrip("*"),
        "in": location,
        "required": name.endswith("*"),
        "schema": msgspec.json.schema(kind),
    }


def _success(
    status: HTTPStatus, contents: Sequence[Any], schemas: Mapping[Any, Any]
) -> dict[str, Any]:
    content = {
        kind if isinstance(kind, str) else _JSON: {
            "schema": {"type": "string"} if isinstance(kind, str) else schemas[kind]
        }
        for kind in contents
    }
    described = {"description": status.phrase}
    return {**described, "content": content} if content else described
