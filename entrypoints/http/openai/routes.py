"""All routes of ``/v1``."""

from typing import Final

from entrypoints.http.openai import conversations, models, response_routes

ROUTES: Final = (*conversations.ROUTES, *response_routes.ROUTES, *models.ROUTES)
