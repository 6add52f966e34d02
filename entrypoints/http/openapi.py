"""The OpenAPI document, generated from the descriptions of the routes."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from http import HTTPStatus
from importlib.metadata import version
from itertools import groupby
from types import MappingProxyType
from typing import Any, Final, get_args, get_type_hints

import msgspec
from attrs import field, frozen
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from entrypoints.http.endpoints import (
    EVENT_STREAM,
    REQUEST_HEADERS,
    RESPONSE_HEADERS,
    Endpoint,
    Events,
    PublicEndpoint,
)
from entrypoints.http.problems import PROBLEM_TYPES

_JSON: Final = "application/json"
_DESCRIPTION: Final = """\
Paths under `/api` belong to Privity's own protocol and to the AI SDK. Browsers authenticate with \
a cookie, programs with a client key as a bearer token. Paths under `/v1` are those of OpenAI's \
clients: they need a client key as a bearer token, by default one that the operator issued.

Every problem has a stable `code`. Streams are server-sent events: the schema of a stream \
describes each of its events.
"""
_PROBLEM_HEADERS: Final[Mapping[int, Sequence[str]]] = MappingProxyType(
    {
        HTTPStatus.UNAUTHORIZED: ("WWW-Authenticate",),
        HTTPStatus.TOO_MANY_REQUESTS: ("Retry-After", "RateLimit", "RateLimit-Policy"),
        HTTPStatus.SERVICE_UNAVAILABLE: ("Retry-After",),
    }
)


def document(routes: Sequence[BaseRoute], *, cookie: str = "privity") -> dict[str, Any]:
    """The OpenAPI 3.1 document of all endpoints among ``routes``.

    ``cookie`` is the name of the cookie that holds the client key.
    """
    endpoints = [route for route in routes if isinstance(route, Endpoint)]
    types = list(dict.fromkeys(kind for endpoint in endpoints for kind in endpoint.types))
    references, components = msgspec.json.schema_components(
        types, ref_template="#/components/schemas/{name}"
    )
    for kind in {struct for one in types for struct in _structs(one)}:
        _add(components[_name(kind)], getattr(kind, "further_schema", {}))
    operations = _Operations(schemas=dict(zip(types, references, strict=True)))
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        path = paths.setdefault(endpoint.path_format, {})
        path[endpoint.method] = operations.operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Privity",
            "version": version("privity"),
            "summary": "A self-hosted chat backend that keeps conversations private.",
            "description": _DESCRIPTION,
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "This service."}],
        "tags": [{"name": tag} for tag in dict.fromkeys(one.tag for one in endpoints)],
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": operations.shared,
            "headers": {name: _described(kind) for name, kind in RESPONSE_HEADERS.items()},
            "securitySchemes": _security_schemes(cookie),
        },
        "security": [{"clientKey": []}, {"cookie": []}, {}],
    }


def _structs(kind: Any) -> Iterator[type[msgspec.Struct]]:
    """All structs that a type contains."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield kind
        for member in get_type_hints(kind).values():
            yield from _structs(member)
    for argument in get_args(kind):
        yield from _structs(argument)


def _add(schema: dict[str, Any], further: Mapping[str, Any]) -> None:
    for name, value in further.items():
        if isinstance(value, dict) and isinstance(schema.get(name), dict):
            _add(schema[name], value)
        else:
            schema[name] = value


def _security_schemes(cookie: str) -> dict[str, Any]:
    return {
        "clientKey": {
            "type": "http",
            "scheme": "bearer",
            "description": "A client key: `ck_` and 64 more characters.",
        },
        "cookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": cookie,
            "description": "Set by the first message or session; browsers send it by themselves.",
        },
    }


def openapi_endpoint(routes: Sequence[BaseRoute], *, cookie: str) -> Endpoint:
    """``GET /openapi.json``: describes ``routes`` and itself; ``cookie`` as in ``document``."""

    @cache
    def encoded() -> bytes:
        return msgspec.json.encode(document([*routes, endpoint], cookie=cookie))

    async def openapi(_: Request) -> Response:
        headers = {"cache-control": "public, max-age=300"}
        return Response(encoded(), media_type=_JSON, headers=headers)

    endpoint = PublicEndpoint(
        "/openapi.json",
        openapi,
        "GET",
        summary="Get this document.",
        responses={HTTPStatus.OK: [dict[str, Any]]},
        examples={dict[str, Any]: {"openapi": "3.1.0", "info": {}, "paths": {}}},
    )
    return endpoint


@frozen(kw_only=True)
class _Operations:
    """Describes endpoints as operations.

    Attributes:
        schemas: the schema of each of their types.
        shared: the responses that several operations refer to, by name.
    """

    schemas: Mapping[Any, Any]
    shared: dict[str, Any] = field(factory=dict)

    def operation(self, endpoint: Endpoint) -> dict[str, Any]:
        """The operation of an endpoint."""
        operation: dict[str, Any] = {
            "tags": [endpoint.tag],
            "summary": endpoint.summary,
            "operationId": _operation_id(endpoint),
            "parameters": [*_parameters(endpoint)],
            "responses": {**self._successes(endpoint), **self._problems(endpoint)},
        }
        if endpoint.description:
            operation["description"] = endpoint.description
        if endpoint.body:
            operation["requestBody"] = {
                "required": not endpoint.is_body_optional,
                "content": dict.fromkeys(
                    endpoint.body_media_types, self._json(endpoint, endpoint.body)
                ),
            }
        if endpoint.security is not None:
            operation["security"] = endpoint.security
        return operation

    def _successes(self, endpoint: Endpoint) -> dict[str, Any]:
        return {
            str(status.value): _without_empty(
                description=status.phrase,
                headers=_header_references(endpoint.response_headers),
                content=self._contents(endpoint, contents),
            )
            for status, contents in endpoint.responses.items()
        }

    def _contents(self, endpoint: Endpoint, contents: Sequence[Any]) -> dict[str, Any]:
        content: dict[str, Any] = {}
        for kind in contents:
            match kind:
                case Events():
                    content[EVENT_STREAM] = self._events(endpoint, kind)
                case str():
                    content[kind] = {"schema": {"type": "string"}}
                case _:
                    content[_JSON] = self._json(endpoint, [kind])
        return content

    def _events(self, endpoint: Endpoint, events: Events) -> dict[str, Any]:
        text = {"type": "string"}
        json = {
            "contentMediaType": _JSON,
            "contentSchema": _any_of([self.schemas[kind] for kind in events.kinds]),
        }
        data = {
            **text,
            "description": "JSON, except for `[DONE]` at the end of a complete stream.",
            "anyOf": [json, {"const": "[DONE]"}],
        }
        schema = {
            "type": "object",
            "description": "One of the server-sent events.",
            "properties": {"event": text, "id": text, "data": data},
            "required": ["data"],
        }
        example = endpoint.examples.get(events)
        return {"schema": schema, **({} if example is None else {"example": example})}

    def _json(self, endpoint: Endpoint, kinds: Sequence[Any]) -> dict[str, Any]:
        schemas = [self.schemas[kind] for kind in kinds]
        examples = {
            _name(kind): {"value": endpoint.examples[kind]}
            for kind in kinds
            if kind in endpoint.examples
        }
        return _without_empty(schema=_any_of(schemas), examples=examples)

    def _problems(self, endpoint: Endpoint) -> dict[str, Any]:
        def status(code: str) -> int:
            return PROBLEM_TYPES[code].status

        ordered = sorted(endpoint.problems, key=status)
        return {
            str(number): self._reference(number, self._problem(endpoint, number, [*codes]))
            for number, codes in groupby(ordered, key=status)
        }

    def _reference(self, status: int, response: Any) -> dict[str, Any]:
        """A reference to ``response``, which many operations share."""
        equal = (name for name, other in self.shared.items() if other == response)
        count = sum(name.startswith(f"Problem{status}-") for name in self.shared)
        name = next(equal, f"Problem{status}-{count + 1}")
        self.shared[name] = response
        return {"$ref": f"#/components/responses/{name}"}

    def _problem(self, endpoint: Endpoint, status: int, codes: Sequence[str]) -> dict[str, Any]:
        media_type, kind = endpoint.problem
        narrowed: Any = {"enum": endpoint.codes_of(codes)}
        for member in reversed(endpoint.code_at):
            narrowed = {"properties": {member: narrowed}}
        schema = {"allOf": [self.schemas[kind], narrowed]}
        headers = (*_PROBLEM_HEADERS.get(status, ()), *endpoint.problem_headers)
        return _without_empty(
            description="\n".join(f"- `{code}`: {PROBLEM_TYPES[code].message}" for code in codes),
            headers=_header_references(headers),
            content={media_type: {"schema": schema}},
        )


def _any_of(schemas: Sequence[Any]) -> Any:
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def _without_empty(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value}


def _name(kind: Any) -> str:
    return str(getattr(kind, "__name__", "document"))


def _header_references(names: Sequence[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _operation_id(endpoint: Endpoint) -> str:
    words = [
        "one" if word.startswith("{") else word for word in endpoint.path_format.split("/") if word
    ]
    return "-".join((endpoint.method, *words))


def _parameters(endpoint: Endpoint) -> Iterator[dict[str, Any]]:
    for name in endpoint.param_convertors:
        yield _parameter(f"{name}*", "path", endpoint.in_path.get(name, str))
    for name, kind in endpoint.query.items():
        yield _parameter(name, "query", kind)
    for name in endpoint.headers:
        yield _parameter(name, "header", REQUEST_HEADERS[name])


def _parameter(name: str, location: str, kind: Any) -> dict[str, Any]:
    return {
        "name": name.rstrip("*"),
        "in": location,
        "required": name.endswith("*"),
        **_described(kind),
    }


def _described(kind: Any) -> dict[str, Any]:
    """The schema of a parameter or header, with its description and example beside it."""
    schema = msgspec.json.schema(kind)
    description, examples = schema.pop("description", ""), schema.pop("examples", [])
    described = _without_empty(description=description, schema=schema)
    return {**described, "example": examples[0]} if examples else described
