"""Answers of ``/v1``."""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

from domain.model.conversation import Conversation
from entrypoints.http.openai.names import conversation_name


def answer(document: Any, headers: Mapping[str, str]) -> Response:
    """A document that nobody caches."""
    return Response(
        msgspec.json.encode(document),
        media_type="application/json",
        headers={"cache-control": "no-store", **headers},
    )


def conversation_document(conversation: Conversation) -> dict[str, Any]:
    """A conversation without its items."""
    return {
        "id": conversation_name(conversation.id),
        "object": "conversation",
        "created_at": int(conversation.created_at.timestamp()),
        "metadata": dict(conversation.metadata),
    }
