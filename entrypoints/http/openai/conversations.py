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
from domain.model.identifiers import ConversationRef, SessionId
from entrypoints.http.openai.items import (
    Item,
    conversation_id,
    item_named,
    items_of,
    named_conversation,
)
from entrypoints.http.openai.lists import check_includes, list_of, page_of, page_wanted
from entrypoints.http.openai.members import invalid, member, read_members
from entrypoints.http.openai.requests import parse_items, parse_metadata
from entrypoints.http.openai.services import ApiCaller, guest_of, openai_of


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


MOST_ITEMS: Final = 20


async def create(request: Request) -> Response:
    """Begin a conversation, perhaps with items in it."""
    guest = guest_of(request)
    body, _ = await read_members(request)
    conversation = await openai_of(request).create_conversation(
        guest.owner,
        parse_items(member(body, "items", list, "a list") or [], "items", most=MOST_ITEMS),
        parse_metadata(body),
        address=guest.address,
    )
    return answer(conversation_document(conversation), guest.headers)


async def retrieve(request: Request) -> Response:
    """A conversation without its items."""
    guest = guest_of(request)
    history = await openai_of(request).read_history(
        ConversationRef(guest.owner, _named(request)), limit=1
    )
    return answer(conversation_document(history.conversation), guest.headers)


async def update(request: Request) -> Response:
    """Replace its metadata; that does not lengthen its stay."""
    guest = guest_of(request)
    body, _ = await read_members(request)
    if "metadata" not in body:
        invalid("metadata", "given")
    changed = await openai_of(request).edit_items.set_metadata(
        ConversationRef(guest.owner, _named(request)), parse_metadata(body)
    )
    return answer(conversation_document(changed), guest.headers)


async def delete(request: Request) -> Response:
    """Forget it for good. What is not there is deleted already."""
    guest = guest_of(request)
    session_id = _named(request)
    await openai_of(request).forget_conversation(ConversationRef(guest.owner, session_id))
    name = conversation_id(session_id)
    document = {"id": name, "object": "conversation.deleted", "deleted": True}
    return answer(document, guest.headers)


async def add_items(request: Request) -> Response:
    """Put items at its end; its stay is restarted."""
    guest = guest_of(request)
    check_includes(request)
    body, _ = await read_members(request)
    given = parse_items(body.get("items"), "items", most=MOST_ITEMS)
    if not given or isinstance(body.get("items"), str):
        invalid("items", f"a list of 1 to {MOST_ITEMS} items")
    conversation = await openai_of(request).edit_items.add(
        ConversationRef(guest.owner, _named(request)), given, address=guest.address
    )
    # Items only ever join at the end, so the newest are those that were put in.
    return answer(list_of(items_of(conversation.messages)[-len(given) :]), guest.headers)


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
        ConversationRef(guest.owner, _named(request)), named.message_id, named.place
    )
    return answer(conversation_document(conversation), guest.headers)


async def _items(request: Request, guest: ApiCaller) -> list[Item]:
    conversation = await openai_of(request).read_history.whole(
        ConversationRef(guest.owner, _named(request))
    )
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
