"""The OpenAPI document, generated from the types that parse the bodies and make the answers.

What can be asked over HTTP, for the OpenAPI document; a test compares it with the routes.

``GET /openapi.json``.
"""

from functools import cache
from importlib.metadata import version
from typing import Any, Final

import msgspec
from attrs import frozen
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from entrypoints.http.ai_sdk.bodies import AiSdkBody
from entrypoints.http.ai_sdk.history import AiSdkHistoryDocument
from entrypoints.http.documents import (
    Answer,
    ClientKeyDocument,
    ExportDocument,
    HealthDocument,
    HistoryDocument,
    ProblemDocument,
    ReplyDocument,
    SessionDocument,
    StopDocument,
)
from entrypoints.http.native.bodies import AgainBody, ChatBody, OpenBody, StopBody
from entrypoints.http.requests import EmptyBody, NativeBody


@frozen(kw_only=True)
class Operation:
    """One operation: what it takes and gives.

    Attributes:
        other_body: what may be sent instead, by another client protocol.
        answer: of a success; absent when it has no content.
        streams: whether a success may stream instead.
        query: names of query parameters, with ``*`` behind the required ones.
        headers: names of request headers that mean something here.
    """

    method: str
    path: str
    summary: str
    status: int = 200
    body: type[NativeBody] | None = None
    other_body: type[Struct] | None = None
    answer: type[Answer] | None = None
    streams: bool = False
    query: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()


_SESSION: Final = "/api/chat/{id}"
OPERATIONS: Final = (
    Operation(
        method="post",
        path="/api/chat",
        summary="Say something; the reply streams, or comes whole with Accept: application/json.",
        body=ChatBody,
        other_body=AiSdkBody,
        answer=ReplyDocument,
        streams=True,
        headers=("Idempotency-Key",),
    ),
    Operation(
        method="get",
        path="/api/chat",
        summary="Read what was said, the newest page first.",
        answer=HistoryDocument,
        query=("sessionId*", "before", "limit"),
    ),
    Operation(
        method="delete",
        path="/api/chat",
        summary="Forget a conversation for good.",
        status=204,
        query=("sessionId*",),
    ),
    Operation(
        method="get",
        path=_SESSION,
        summary="Read the whole conversation in the shape of the AI SDK.",
        answer=AiSdkHistoryDocument,
    ),
    Operation(
        method="delete", path=_SESSION, summary="Forget a conversation for good.", status=204
    ),
    Operation(
        method="get",
        path=f"{_SESSION}/stream",
        summary="Follow the reply being written; 204 when none is.",
        streams=True,
        headers=("Last-Event-ID",),
    ),
    Operation(
        method="post",
        path=f"{_SESSION}/stop",
        summary="Stop the reply being written; what was said stays.",
        body=StopBody,
        answer=StopDocument,
    ),
    Operation(
        method="post",
        path=f"{_SESSION}/regenerate",
        summary="Ask for another answer, also to a message said anew.",
        body=AgainBody,
        answer=ReplyDocument,
        streams=True,
        headers=("Idempotency-Key",),
    ),
    Operation(
        method="get",
        path=f"{_SESSION}/export",
        summary="Everything that is kept about a conversation.",
        answer=ExportDocument,
    ),
    Operation(
        method="post",
        path="/api/sessions",
        summary="Open a conversation with the assistant's welcome.",
        status=201,
        body=OpenBody,
        answer=SessionDocument,
    ),
    Operation(
        method="post",
        path="/api/client-key",
        summary="Make a client key.",
        status=201,
        body=EmptyBody,
        answer=ClientKeyDocument,
    ),
    Operation(method="delete", path="/api/client-key", summary="Clear the cookie.", status=204),
    Operation(method="get", path="/health/live", summary="Does it answer?", answer=HealthDocument),
    Operation(method="get", path="/health/ready", summary="Can it work?", answer=HealthDocument),
)


_STREAM: Final = "text/event-stream"
_JSON: Final = "application/json"


@cache
def document() -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    bodies = [body for op in OPERATIONS for body in (op.body, op.other_body) if body]
    answers = [op.answer for op in OPERATIONS if op.answer]
    types = list(dict.fromkeys([*bodies, *answers, ProblemDocument]))
    _, schemas = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Privity", "version": version("privity")},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "clientKey": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "__Host-privity"},
            },
        },
        "security": [{"clientKey": []}, {"cookie": []}, {}],
    }


def _described(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": _operation_id(operation),
        "parameters": _parameters(operation),
        "responses": {
            str(operation.status): _success(operation),
            "default": {
                "description": "A problem.",
                "content": {"application/problem+json": {"schema": _reference(ProblemDocument)}},
            },
        },
    }
    if operation.body is not None:
        content = {_JSON: {"schema": _body(operation.body, operation.other_body)}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _body(kind: type[msgspec.Struct], other: type[msgspec.Struct] | None) -> dict[str, Any]:
    if other is None:
        return {**_reference(kind)}
    return {"anyOf": [_reference(kind), _reference(other)]}


def _operation_id(operation: Operation) -> str:
    words = operation.path.replace("{id}", "one").strip("/").replace("/", "-")
    return f"{operation.method}-{words}"


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    in_path = [_parameter("id*", "path")] if "{id}" in operation.path else []
    in_query = [_parameter(name, "query") for name in operation.query]
    return in_path + in_query + [_parameter(name, "header") for name in operation.headers]


def _parameter(name: str, place: str) -> dict[str, Any]:
    number = name in ("before", "limit")
    return {
        "name": name.rstrip("*"),
        "in": place,
        "required": name.endswith("*"),
        "schema": {"type": "integer", "minimum": 1} if number else {"type": "string"},
    }


def _success(operation: Operation) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if operation.streams:
        content[_STREAM] = {"schema": {"type": "string"}}
    if operation.answer is not None:
        content[_JSON] = {"schema": _reference(operation.answer)}
    return {"description": "Done.", **({"content": content} if content else {})}


def _reference(kind: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


async def openapi(_: Request) -> Response:
    """The description of the native protocol."""
    return Response(
        msgspec.json.encode(document()),
        media_type="application/json",
        headers={"cache-control": "public, max-age=300"},
    )


ROUTES: Final = (Route("/openapi.json", openapi, methods=["GET"]),)
