"""The list of all routes of ``/v1``, and ``/v1/models`` with its one model."""

from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from entrypoints.http.documents import json_response
from entrypoints.http.openai import chat_routes, conversations, response_routes
from entrypoints.http.openai.documents import ModelDocument, ModelListDocument
from entrypoints.http.openai.services import ApiEndpoint, api_caller, openai_of
from entrypoints.http.problems import BadRequest


async def list_models(request: Request) -> Response:
    """``GET /v1/models``: a list with the only model."""
    caller = api_caller(request)
    model = ModelDocument(id=openai_of(request).model.name)
    return json_response(ModelListDocument(data=[model]), headers=caller.headers)


async def retrieve_model(request: Request) -> Response:
    """``GET /v1/models/{name}``: the model, by its name."""
    caller = api_caller(request)
    name = openai_of(request).model.name
    if request.path_params["name"] != name:
        raise BadRequest("model_not_found", "There is no model with this name.", field="model")
    return json_response(ModelDocument(id=name), headers=caller.headers)


ROUTES: Final = (
    *conversations.ROUTES,
    *response_routes.ROUTES,
    *chat_routes.ROUTES,
    ApiEndpoint(
        "/v1/models",
        list_models,
        "GET",
        summary="List the only model.",
        responses={HTTPStatus.OK: [ModelListDocument]},
    ),
    ApiEndpoint(
        "/v1/models/{name:path}",
        retrieve_model,
        "GET",
        summary="Get the model by its name.",
        responses={HTTPStatus.OK: [ModelDocument]},
    ),
)
