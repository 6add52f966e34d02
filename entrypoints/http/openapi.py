"""The OpenAPI document, generated from the types that parse the bodies and make the answers."""

from functools import cache
from importlib.metadata import version
from typing import Any, Final

import msgspec

from entrypoints.http.answers import ProblemAnswer
from entrypoints.http.operations import OPERATIONS, Operation

_STREAM: Final = "text/event-stream"
_JSON: Final = "application/json"


@cache
def document() -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    bodies = [body for op in OPERATIONS for body in (op.body, op.other_body) if body]
    answers = [op.answer for op in OPERATIONS if op.answer]
    types = list(dict.fromkeys([*bodies, *answers, ProblemAnswer]))
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
                "content": {"application/problem+json": {"schema": _reference(ProblemAnswer)}},
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
