"""All routes of ``/v1``, and ``/v1/models``: the one model that answers."""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from entrypoints.http.openai import conversations, response_routes
from entrypoints.http.openai.conversations import answer
from entrypoints.http.openai.services import guest_of, openai_of
from entrypoints.http.problems import BadRequest


async def list_models(request: Request) -> Response:
    """All of them: one."""
    guest = guest_of(request)
    document = {"object": "list", "data": [_model(openai_of(request).model.name)]}
    return answer(document, guest.headers)


async def retrieve(request: Request) -> Response:
    """The model of this name."""
    guest = guest_of(request)
    known = openai_of(request).model.name
    if request.path_params["name"] != known:
        raise BadRequest("model_not_found", "There is no model of this name.", field="model")
    return answer(_model(known), guest.headers)


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "privity"}


ROUTES: Final = (
    *conversations.ROUTES,
    *response_routes.ROUTES,
    Route("/v1/models", list_models, methods=["GET"]),
    Route("/v1/models/{name:path}", retrieve, methods=["GET"]),
)
