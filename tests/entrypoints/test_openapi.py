"""The OpenAPI document is valid and describes what is really routed."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.routing import Route

from entrypoints.container import open_container
from entrypoints.http.app import create_app
from entrypoints.http.authentication import cookie_name
from entrypoints.http.endpoints import Endpoint, Events, PublicEndpoint
from entrypoints.http.openai.errors import PREFIX
from entrypoints.http.openai.event_documents import COMPLETION_EVENTS, RESPONSE_EVENTS
from entrypoints.http.openapi import document
from entrypoints.http.problems import PROBLEM_TYPES
from entrypoints.http.stream_documents import REPLY_EVENTS, RESUMED_EVENTS
from entrypoints.settings import Settings
from tests.support.described_events import event_errors, validator
from tests.support.event_stream import events_in

ROUTES = create_app(Settings(), open_container).routes
ENDPOINTS = [route for route in ROUTES if isinstance(route, Endpoint)]
DOCUMENT: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document(ROUTES)))
CODE: Final = re.compile(r"^- `(\w+)`: ", re.MULTILINE)
NOT_OF_A_ROUTE: Final = {
    "method_not_allowed",  # no route has the method
    *("domain_error", "port_error", "older_messages_needed"),  # internal
}


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every operation with its method and path."""
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def resolved(response: Mapping[str, Any]) -> Any:
    """The response that a reference leads to."""
    return DOCUMENT["components"]["responses"][response["$ref"].rpartition("/")[2]]


def problems_of(operation: Mapping[str, Any]) -> dict[str, Any]:
    """The problems of an operation, by status."""
    return {status: one for status, one in operation["responses"].items() if status >= "400"}


def validator_of(schema: Any) -> Any:
    return validator(DOCUMENT, schema)


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


def test_every_problem_has_the_form_of_its_protocol() -> None:
    for _, path, operation in operations():
        for response in map(resolved, problems_of(operation).values()):
            [(media_type, content)] = response["content"].items()
            kind = content["schema"]["allOf"][0]["$ref"].rpartition("/")[2]

            assert (media_type, kind) == (
                ("application/json", "ErrorDocument")
                if path.startswith(PREFIX)
                else ("application/problem+json", "ProblemDocument")
            )


def test_every_described_code_exists_and_every_existing_code_is_described() -> None:
    described = {code for route in ENDPOINTS for code in route.problems}

    assert described - set(PROBLEM_TYPES) == set()
    assert set(PROBLEM_TYPES) - described == NOT_OF_A_ROUTE


def test_every_problem_is_described_with_its_own_status() -> None:
    for route in ENDPOINTS:
        problems = problems_of(DOCUMENT["paths"][route.path_format][route.method])
        described = {
            (int(status), code)
            for status, response in problems.items()
            for code in CODE.findall(resolved(response)["description"])
        }

        assert described == {(PROBLEM_TYPES[code].status, code) for code in route.problems}


def test_a_route_that_takes_a_cookie_rejects_other_sites() -> None:
    for route in ENDPOINTS:
        is_checked = "cross_site_request" in route.problems
        takes_cookie = not (route.path.startswith(PREFIX) or isinstance(route, PublicEndpoint))

        assert is_checked == (takes_cookie and route.method != "get")
        assert ("body_not_json" in route.problems) == bool(route.body)


def test_each_family_says_which_credentials_it_takes() -> None:
    everywhere = DOCUMENT["security"]
    assert everywhere == [{"clientKey": []}, {"cookie": []}, {}]
    for route in ENDPOINTS:
        operation = DOCUMENT["paths"][route.path_format][route.method]
        security = operation.get("security", everywhere)

        if route.path.startswith(PREFIX):
            assert security == [{"clientKey": []}]
        elif route.path.startswith("/api/"):
            assert security == everywhere
        else:
            assert security == []


def test_the_cookie_has_the_name_that_the_service_reads() -> None:
    schemes = document(ROUTES, cookie=cookie_name(is_https=True))["components"]["securitySchemes"]

    assert schemes["cookie"]["name"] == "__Host-privity"
    assert DOCUMENT["components"]["securitySchemes"]["cookie"]["name"] == "privity"


def test_what_streams_says_so() -> None:
    paths = DOCUMENT["paths"]

    for path in ("/api/chat", "/v1/responses"):
        content = paths[path]["post"]["responses"]["200"]["content"]
        assert set(content) == {"text/event-stream", "application/json"}


def test_the_parameters_of_a_path_are_described_as_required() -> None:
    for _, path, operation in operations():
        required = [one["name"] for one in operation["parameters"] if one["in"] == "path"]

        assert required == re.findall(r"\{(\w+)\}", path)


def test_everything_that_parameters_are_for_is_explained() -> None:
    for _, _, operation in operations():
        assert [one["name"] for one in operation["parameters"] if "description" not in one] == []


def test_every_operation_has_an_example_of_what_it_takes_and_returns() -> None:
    for route in ENDPOINTS:
        described = [kind for kind in route.contents if not isinstance(kind, str)]

        assert [kind for kind in (*route.body, *described) if kind not in route.examples] == []


def test_the_examples_of_bodies_are_valid_bodies() -> None:
    for route in ENDPOINTS:
        for kind in route.body:
            msgspec.json.decode(msgspec.json.encode(route.examples[kind]), type=kind)


def test_the_examples_have_the_described_form() -> None:
    found = 0
    for _, _, operation in operations():
        contents = [operation.get("requestBody", {}), *operation["responses"].values()]
        for content in (one for body in contents for one in body.get("content", {}).values()):
            for example in content.get("examples", {}).values():
                validator_of(content["schema"]).validate(example["value"])
                found += 1

    assert found > len(ENDPOINTS)


def test_an_example_of_another_form_is_seen() -> None:
    schema = {"$ref": "#/components/schemas/ReplyDocument"}

    assert [*validator_of(schema).iter_errors({"sessionId": "no id"})]


@pytest.mark.parametrize(
    "events", [REPLY_EVENTS, RESUMED_EVENTS, RESPONSE_EVENTS, COMPLETION_EVENTS]
)
def test_the_examples_of_streams_have_the_described_events(events: Events) -> None:
    [example] = {route.examples[events] for route in ENDPOINTS if events in route.examples}
    schemas = {
        json.dumps(content["schema"])
        for route in ENDPOINTS
        if events in route.contents
        for response in DOCUMENT["paths"][route.path_format][route.method]["responses"].values()
        for media_type, content in response.get("content", {}).items()
        if media_type == "text/event-stream"
    }

    [schema] = schemas
    assert not [
        error
        for one in events_in(example.encode())
        for error in event_errors(DOCUMENT, json.loads(schema), one)
    ]
    assert len(events_in(example.encode())) > 1


def test_headers_that_clients_act_on_are_described() -> None:
    chat = DOCUMENT["paths"]["/api/chat"]["post"]["responses"]

    assert {"X-Session-Id", "Set-Cookie", "Privity-Client-Key"} == set(chat["200"]["headers"])
    assert {"Retry-After", "RateLimit", "RateLimit-Policy"} == set(resolved(chat["429"])["headers"])
    assert "WWW-Authenticate" in resolved(chat["401"])["headers"]


def test_a_limit_on_v1_may_have_the_code_of_openai() -> None:
    responses = DOCUMENT["paths"]["/v1/responses"]["post"]["responses"]
    [content] = resolved(responses["429"])["content"].values()
    codes = content["schema"]["allOf"][1]["properties"]["error"]["properties"]["code"]["enum"]

    assert {"rate_limit_exceeded", "too_many_requests"} <= set(codes)
