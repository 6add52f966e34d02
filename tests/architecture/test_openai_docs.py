"""The page on OpenAI's clients matches the code, and the installed packages of OpenAI."""

from importlib.metadata import version

import pytest
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsBase,
    CompletionCreateParamsStreaming,
)
from openai.types.responses.response_create_params import (
    ResponseCreateParamsBase,
    ResponseCreateParamsStreaming,
)

from entrypoints.http.openai.bodies import UNSUPPORTED_PARAMETERS
from entrypoints.http.openai.chat_bodies import UNSUPPORTED_CHAT_PARAMETERS
from entrypoints.http.openai.errors import PREFIX
from entrypoints.http.openai.parameters import CHAT_ONLY_PARAMETERS
from entrypoints.http.openai.routes import ROUTES
from entrypoints.http.openapi import document
from tests.architecture.test_docs import ROUTES as APP_ROUTES
from tests.architecture.test_docs import documented_routes, page, rows

PAGE = page("docs/openai_clients.md")
PARAMETERS = {
    row[0].strip("`"): row[1] for row in rows(PAGE, under="Parameters of a response request")
}
CHAT_PARAMETERS = {
    row[0].strip("`"): row[1] for row in rows(PAGE, under="Parameters of a chat completion")
}


def test_the_documented_routes_are_the_real_ones() -> None:
    assert documented_routes(PAGE) == {(one.method.upper(), one.path_format) for one in ROUTES}


def test_openapi_describes_every_route_of_openais_clients() -> None:
    paths = document(APP_ROUTES)["paths"]
    described = {(method.upper(), path) for path, methods in paths.items() for method in methods}

    assert {route for route in described if route[1].startswith(PREFIX)} == documented_routes(PAGE)


def test_openapi_names_every_supported_parameter_of_a_response() -> None:
    described = document(APP_ROUTES)["components"]["schemas"]["ResponseBody"]["properties"]

    assert set(described) == set(PARAMETERS) - set(UNSUPPORTED_PARAMETERS)


def test_exactly_the_unsupported_parameters_are_documented_as_unsupported() -> None:
    assert [name for name, supported in PARAMETERS.items() if supported == "no"] == [
        *UNSUPPORTED_PARAMETERS
    ]


def test_exactly_the_parameters_of_the_package_are_documented() -> None:
    known = {
        *ResponseCreateParamsBase.__annotations__,
        *ResponseCreateParamsStreaming.__annotations__,
    }

    assert set(PARAMETERS) == known


def test_openapi_names_every_supported_parameter_of_a_chat_completion() -> None:
    described = document(APP_ROUTES)["components"]["schemas"]["CompletionBody"]["properties"]

    supported = set(CHAT_PARAMETERS) - set(UNSUPPORTED_CHAT_PARAMETERS)
    assert set(described) == supported | {"conversation"}


def test_exactly_the_unsupported_parameters_of_a_chat_completion_are_documented() -> None:
    assert [name for name, supported in CHAT_PARAMETERS.items() if supported == "no"] == [
        *UNSUPPORTED_CHAT_PARAMETERS
    ]


def test_exactly_the_packages_parameters_of_a_chat_completion_are_documented() -> None:
    known = {
        *CompletionCreateParamsBase.__annotations__,
        *CompletionCreateParamsStreaming.__annotations__,
    }

    assert set(CHAT_PARAMETERS) == known


def test_every_parameter_of_chat_completions_only_is_refused_as_documented() -> None:
    documented = {
        row[0]: row[1] for row in rows(PAGE, under="Chat parameters in a response request")
    }

    assert set(CHAT_ONLY_PARAMETERS) == set(CHAT_PARAMETERS) - set(PARAMETERS)
    assert documented == {
        f"`{name}`": f"`{counterpart}`" if counterpart else ""
        for name, counterpart in CHAT_ONLY_PARAMETERS.items()
    }


@pytest.mark.parametrize("package", ["openai", "openai-agents"])
def test_the_documented_versions_are_the_installed_ones(package: str) -> None:
    assert f"| {version(package)} |" in PAGE
