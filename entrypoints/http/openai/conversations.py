"""``/v1/conversations`` and their items.

Answers of ``/v1``.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.model.conversation import Conversation
from domain.model.identifiers import SessionId
from entrypoints.http.openai.bodies import ConversationBody, ItemsBody, MetadataBody, parse
from entrypoints.http.openai.items import (
    Item,
    conversation_id,
    item_named,
    items_of,
    named_conversation,
)
from entrypoints.http.openai.lists import check_includes, list_of, page_of, page_wanted
from entrypoints.http.openai.requests import input_items
from entrypoints.http.openai.services import ApiCaller, guest_of, openai_of
from entrypoints.http.requests import read_body


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
        "id": conversation_id(conversation.id),
        "object": "conversation",
        "created_at": int(conversation.created_at.timestamp()),
        "metadata": dict(conversation.metadata),
    }


async def create(request: Request) -> Response:
    """Begin a conversation, perhaps with items in it."""
    guest = guest_of(request)
    members, _ = await read_body(request, dict)
    body = parse(members, ConversationBody)
    conversation = await openai_of(request).create_conversation(
        guest.owner,
        input_items(body.items or (), members.get("items") or (), "items"),
        body.metadata or {},
        address=guest.address,
    )
    return answer(conversation_document(conversation), guest.headers)


async def retrieve(request: Request) -> Response:
    """A conversation without its items."""
    guest = guest_of(request)
    history = await openai_of(request).read_history(guest.owner, _named(request), limit=1)
    return answer(conversation_document(history.conversation), guest.headers)


async def update(request: Request) -> Response:
    """Replace its metadata; that does not lengthen its stay."""
    guest = guest_of(request)
    members, _ = await read_body(request, dict)
    metadata = parse(members, MetadataBody).metadata or {}
    changed = await openai_of(request).edit_items.set_metadata(
        guest.owner, _named(request), metadata
    )
    return answer(conversation_document(changed), guest.headers)


async def delete(request: Request) -> Response:
    """Forget it for good. What is not there is deleted already."""
    guest = guest_of(request)
    session_id = _named(request)
    await openai_of(request).forget_conversation(guest.owner, session_id)
    name = conversation_id(session_id)
    document = {"id": name, "object": "conversation.deleted", "deleted": True}
    return answer(document, guest.headers)


async def add_items(request: Request) -> Response:
    """Put items at its end; its stay is restarted."""
    guest = guest_of(request)
    check_includes(request)
    members, _ = await read_body(request, dict)
    inputs = input_items(parse(members, ItemsBody).items, members["items"], "items")
    conversation = await openai_of(request).edit_items.add(
        guest.owner, _named(request), inputs, address=guest.address
    )
    # Items only ever join at the end, so the newest are those that were put in.
    return answer(list_of(items_of(conversation.messages)[-len(inputs) :]), guest.headers)


async def list_items(request: Request) -> Response:
    """A page of its items."""
    guest = guest_of(request)
    wanted = page_wanted(request)
    return answer(page_of(await _items(request, guest), wanted), guest.headers)


async def retrieve_item(request: Request) -> Response:
    """One item."""
    guest = guest_of(request)
    check_includes(request)
    named = item_named(await _items(request, guest), request.path_params["item"])
    return answer(named.document, guest.headers)


async def delete_item(request: Request) -> Response:
    """Leave one item out; that does not lengthen its stay."""
    guest = guest_of(request)
    named = item_named(await _items(request, guest), request.path_params["item"])
    conversation = await openai_of(request).edit_items.delete_item(
        guest.owner, _named(request), named.message_id, named.place
    )
    return answer(conversation_document(conversation), guest.headers)


async def _items(request: Request, guest: ApiCaller) -> list[Item]:
    conversation = await openai_of(request).read_history.whole(guest.owner, _named(request))
    return items_of(conversation.messages)


def _named(request: Request) -> SessionId:
    return named_conversation(request.path_params["id"])


_ONE: Final = "/v1/conversations/{id}"

ROUTES: Final = (
    Route("/v1/conversations", create, methods=["POST"]),
    Route(_ONE, retrieve, methods=["GET"]),
    Route(_ONE, update, methods=["POST"]),
    Route(_ONE, delete, methods=["DELETE"]),
    Route(f"{_ONE}/items", add_items, methods=["POST"]),
    Route(f"{_ONE}/items", list_items, methods=["GET"]),
    Route(f"{_ONE}/items/{{item}}", retrieve_item, methods=["GET"]),
    Route(f"{_ONE}/items/{{item}}", delete_item, methods=["DELETE"]),
)
