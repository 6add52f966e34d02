"""``/v1/conversations`` and their items."""

from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from domain.model.conversation import Conversation
from domain.model.identifiers import ConversationRef, SessionId
from entrypoints.http.authentication import ON_BEHALF_OF_HEADER
from entrypoints.http.documents import json_response
from entrypoints.http.endpoints import CHANGED, IMAGES, STORED, USER_TEXT
from entrypoints.http.openai.bodies import (
    ConversationBody,
    ItemsBody,
    MetadataBody,
    parse,
)
from entrypoints.http.openai.documents import (
    ConversationDocument,
    ConversationIdText,
    DeletedDocument,
    ItemDocument,
    ItemIdText,
    ItemListDocument,
)
from entrypoints.http.openai.input_items import input_items
from entrypoints.http.openai.items import (
    Item,
    conversation_id,
    find_item,
    items_of,
    session_of_conversation,
    with_encrypted,
)
from entrypoints.http.openai.lists import (
    INCLUDE,
    PAGE_PARAMETERS,
    PAGE_PROBLEMS,
    includes_encrypted,
    item_list,
    item_page,
    page_request,
)
from entrypoints.http.openai.services import (
    ApiCaller,
    ApiEndpoint,
    api_caller,
    openai_of,
    read_items_body,
)
from entrypoints.http.requests import read_body


async def create(request: Request) -> Response:
    """``POST /v1/conversations``: create a conversation, optionally with items."""
    caller = api_caller(request)
    members, _ = await read_items_body(request)
    services = openai_of(request)
    body = parse(members, ConversationBody)
    sent = members.get("items") or ()
    limit, images = services.message_limit, services.images
    inputs = input_items(body.items or (), sent, limit, "items", images)
    conversation = await openai_of(request).create_conversation(
        caller.owner, inputs, body.metadata or {}, payer=caller.payer
    )
    return _conversation(conversation, caller)


async def retrieve(request: Request) -> Response:
    """``GET /v1/conversations/{id}``: the conversation without its items."""
    caller = api_caller(request)
    history = await openai_of(request).read_history(_ref(request, caller), limit=1)
    return _conversation(history.conversation, caller)


async def update(request: Request) -> Response:
    """``POST /v1/conversations/{id}``: replace the metadata; retention is not restarted."""
    caller = api_caller(request)
    members, _ = await read_body(request, dict)
    metadata = parse(members, MetadataBody).metadata or {}
    edit_items = openai_of(request).edit_items
    conversation = await edit_items.set_metadata(
        _ref(request, caller), metadata, payer=caller.payer
    )
    return _conversation(conversation, caller)


async def delete(request: Request) -> Response:
    """``DELETE /v1/conversations/{id}``: forget it for good; no error if it does not exist."""
    caller = api_caller(request)
    session_id = _session_id(request)
    await openai_of(request).forget_conversation(ConversationRef(caller.owner, session_id))
    document = DeletedDocument(id=conversation_id(session_id), object="conversation.deleted")
    return json_response(document, headers=caller.headers)


async def add_items(request: Request) -> Response:
    """``POST /v1/conversations/{id}/items``: append items; retention is restarted."""
    caller = api_caller(request)
    encrypted = includes_encrypted(request)
    members, _ = await read_items_body(request)
    added, services = parse(members, ItemsBody).items, openai_of(request)
    limit, images = services.message_limit, services.images
    inputs = input_items(added, members["items"], limit, "items", images)
    conversation = await openai_of(request).edit_items.add(
        _ref(request, caller), inputs, payer=caller.payer
    )
    items = items_of(conversation.id, conversation.messages)
    # The items of this request were appended, so they are the newest.
    newest = items[len(items) - len(inputs) :]
    return json_response(item_list(newest, encrypted=encrypted), headers=caller.headers)


async def list_items(request: Request) -> Response:
    """``GET /v1/conversations/{id}/items``: a page of the items."""
    caller = api_caller(request)
    page = page_request(request)
    return json_response(item_page(await _items(request, caller), page), headers=caller.headers)


async def retrieve_item(request: Request) -> Response:
    """``GET /v1/conversations/{id}/items/{item}``: one item."""
    caller = api_caller(request)
    encrypted = includes_encrypted(request)
    item = find_item(await _items(request, caller), request.path_params["item"])
    document = with_encrypted(item.document) if encrypted else item.document
    return json_response(document, headers=caller.headers)


async def delete_item(request: Request) -> Response:
    """``DELETE /v1/conversations/{id}/items/{item}``: delete it; retention is not restarted."""
    caller = api_caller(request)
    item = find_item(await _items(request, caller), request.path_params["item"])
    conversation = await openai_of(request).edit_items.delete_item(
        _ref(request, caller), item.message_id, item.part_index
    )
    return _conversation(conversation, caller)


async def _items(request: Request, caller: ApiCaller) -> list[Item]:
    conversation = await openai_of(request).read_history.whole(_ref(request, caller))
    return items_of(conversation.id, conversation.messages)


def _ref(request: Request, caller: ApiCaller) -> ConversationRef:
    return ConversationRef(caller.owner, _session_id(request))


def _session_id(request: Request) -> SessionId:
    return session_of_conversation(request.path_params["id"])


def _conversation(conversation: Conversation, caller: ApiCaller) -> Response:
    document = ConversationDocument(
        id=conversation_id(conversation.id),
        created_at=int(conversation.created_at.timestamp()),
        metadata=dict(conversation.metadata),
    )
    return json_response(document, headers=caller.headers)


_CONVERSATION: Final = {HTTPStatus.OK: [ConversationDocument]}
_ID: Final = {"id": ConversationIdText}
_ITEM_IDS: Final = {**_ID, "item": ItemIdText}
_HEADERS: Final = [ON_BEHALF_OF_HEADER]
_TAG: Final = "OpenAI: conversations"
_INPUT_PROBLEMS: Final = (
    *CHANGED,
    *USER_TEXT,
    *IMAGES,
    "parameter_unsupported",
    "tool_call_not_found",
    "tool_result_too_long",
)

ROUTES: Final = (
    ApiEndpoint(
        "/v1/conversations",
        create,
        "POST",
        summary="Create a conversation.",
        body=[ConversationBody],
        responses=_CONVERSATION,
        headers=_HEADERS,
        problems=[*_INPUT_PROBLEMS, "conversation_exists"],
        tag=_TAG,
    ),
    ApiEndpoint(
        "/v1/conversations/{id}",
        retrieve,
        "GET",
        summary="Get a conversation without its items.",
        responses=_CONVERSATION,
        in_path=_ID,
        headers=_HEADERS,
        problems=[*STORED, "conversation_not_found"],
        tag=_TAG,
    ),
    ApiEndpoint(
        "/v1/conversations/{id}",
        update,
        "POST",
        summary="Replace the metadata of a conversation.",
        body=[MetadataBody],
        responses=_CONVERSATION,
        in_path=_ID,
        headers=_HEADERS,
        problems=[*CHANGED, "conversation_not_found", "parameter_unsupported"],
        tag=_TAG,
    ),
    ApiEndpoint(
        "/v1/conversations/{id}",
        delete,
        "DELETE",
        summary="Forget a conversation for good.",
        responses={HTTPStatus.OK: [DeletedDocument]},
        in_path=_ID,
        headers=_HEADERS,
        problems=[*CHANGED, "conversation_not_found"],
        tag=_TAG,
    ),
    ApiEndpoint(
        "/v1/conversations/{id}/items",
        add_items,
        "POST",
        summary="Append items.",
        body=[ItemsBody],
        responses={HTTPStatus.OK: [ItemListDocument]},
        query=INCLUDE,
        in_path=_ID,
        headers=_HEADERS,
        problems=[*_INPUT_PROBLEMS, "conversation_not_found", "turn_in_progress"],
        tag=_TAG,
    ),
    ApiEndpoint(
        "/v1/conversations/{id}/items",
        list_items,
        "GET",
        summary="List the items.",
        responses={HTTPStatus.OK: [ItemListDocument]},
        query=PAGE_PARAMETERS,
        in_path=_ID,
        headers=_HEADERS,
        problems=[*STORED, *PAGE_PROBLEMS, "conversation_not_found"],
        tag=_TAG,
    ),
    ApiEndpoint(
        "/v1/conversations/{id}/items/{item}",
        retrieve_item,
        "GET",
        summary="Get one item.",
        responses={HTTPStatus.OK: [ItemDocument]},
        query=INCLUDE,
        in_path=_ITEM_IDS,
        headers=_HEADERS,
        problems=[*STORED, "conversation_not_found", "message_not_found", "parameter_unsupported"],
        tag=_TAG,
    ),
    ApiEndpoint(
        "/v1/conversations/{id}/items/{item}",
        delete_item,
        "DELETE",
        summary="Delete one item.",
        responses=_CONVERSATION,
        in_path=_ITEM_IDS,
        headers=_HEADERS,
        problems=[*CHANGED, "conversation_not_found", "message_not_found", "turn_in_progress"],
        tag=_TAG,
    ),
)
