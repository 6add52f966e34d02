"""The OpenAPI document is valid and describes what is really routed."""

import re

import msgspec
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.routing import Route

from entrypoints.container import open_container
from entrypoints.http.app import create_app
from entrypoints.http.openai.errors import is_ours
from entrypoints.http.openapi import OPERATIONS, document
from entrypoints.settings import Settings

PAGES = {("get", "/"), ("get", "/page/{name}"), ("get", "/openapi.json")}


def routed() -> set[tuple[str, str]]:
    routes = create_app(Settings(), open_container).routes
    return {
        (method.lower(), route.path)
        for route in routes
        if isinstance(route, Route)
        for method in (route.methods or ())
        if method != "HEAD" and not is_ours(route.path)  # Described by OpenAI.
    }


def test_the_document_is_valid() -> None:
    as_json = msgspec.json.decode(msgspec.json.encode(document()))

    assert list(OpenAPIV31SpecValidator(as_json).iter_errors()) == []


def test_the_validator_sees_a_mistake() -> None:
    broken = {**document(), "info": {}}

    assert list(OpenAPIV31SpecValidator(broken).iter_errors())


def test_every_route_is_described_and_every_description_is_routed() -> None:
    described = {
        (method, path) for path, methods in document()["paths"].items() for method in methods
    }

    assert described == routed() - PAGES
    assert routed() >= PAGES


def test_no_operation_is_described_twice() -> None:
    ids = [
        operation["operationId"]
        for methods in document()["paths"].values()
        for operation in methods.values()
    ]

    assert len(set(ids)) == len(ids) == len(OPERATIONS)


def test_every_reference_leads_somewhere() -> None:
    described = msgspec.json.encode(document()).decode()
    names = set(re.findall(r'"#/components/schemas/(\w+)"', described))

    assert names
    assert names <= set(document()["components"]["schemas"])


def test_every_operation_may_end_in_a_problem() -> None:
    for methods in document()["paths"].values():
        for operation in methods.values():
            content = operation["responses"]["default"]["content"]
            assert list(content) == ["application/problem+json"]


def test_what_streams_says_so() -> None:
    responses = document()["paths"]["/api/chat"]["post"]["responses"]

    assert set(responses["200"]["content"]) == {"text/event-stream", "application/json"}
