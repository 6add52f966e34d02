"""The OpenAPI document is valid and describes what is really routed."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.routing import Route

from entrypoints.container import opened_container
from entrypoints.http.app import create_app
from entrypoints.http.openai.errors import PREFIX
from entrypoints.http.openapi import document
from entrypoints.settings import Settings

ROUTES = create_app(Settings(), opened_container).routes
DOCUMENT: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document(ROUTES)))


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every operation with its method and path."""
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_the_document_is_valid() -> None:
    assert list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors()) == []


def test_the_validator_sees_a_mistake() -> None:
    broken = {**DOCUMENT, "info": {}}

    assert list(OpenAPIV31SpecValidator(broken).iter_errors())


def test_every_route_is_described_and_every_description_is_routed() -> None:
    routed = [
        (method.lower(), route.path_format)
        for route in ROUTES
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    ]

    assert [route for route in ROUTES if not isinstance(route, Route)] == []
    assert sorted((method, path) for method, path, _ in operations()) == sorted(routed)


def test_a_route_without_a_description_is_seen() -> None:
    async def handler(*_: Any) -> None:
        raise AssertionError

    assert document([Route("/made-up", handler)])["paths"] == {}


def test_no_operation_is_described_twice() -> None:
    ids = [operation["operationId"] for _, _, operation in operations()]

    assert len(set(ids)) == len(ids) == len(ROUTES)


def test_every_reference_leads_somewhere() -> None:
    names = set(re.findall(r'"#/components/schemas/(\w+)"', msgspec.json.encode(DOCUMENT).decode()))

    assert names
    assert names <= set(DOCUMENT["components"]["schemas"])


def test_every_operation_may_end_in_a_problem_of_its_protocol() -> None:
    for _, path, operation in operations():
        [(media_type, content)] = operation["responses"]["default"]["content"].items()
        schema = content["schema"]["$ref"].rpartition("/")[2]
        is_openai = path.startswith(PREFIX)

        assert (media_type, schema) == (
            ("application/json", "ErrorDocument")
            if is_openai
            else ("application/problem+json", "ProblemDocument")
        )


def test_only_v1_requires_a_client_key_in_every_request() -> None:
    for _, path, operation in operations():
        security = operation.get("security", DOCUMENT["security"])

        assert ({} in security) != path.startswith(PREFIX)


def test_what_streams_says_so() -> None:
    paths = DOCUMENT["paths"]

    for path in ("/api/chat", "/v1/responses"):
        content = paths[path]["post"]["responses"]["200"]["content"]
        assert set(content) == {"text/event-stream", "application/json"}


def test_the_parameters_of_a_path_are_described_as_required() -> None:
    for _, path, operation in operations():
        required = [one["name"] for one in operation["parameters"] if one["in"] == "path"]

        assert required == re.findall(r"\{(\w+)\}", path)
