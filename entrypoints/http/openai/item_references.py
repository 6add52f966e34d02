"""References to stored items in requests that name no conversation.

``@ai-sdk/openai`` keeps the history in the app. It sends each part of an earlier reply as a
reference to its item, and names neither a conversation nor a previous response. The id of an item
is enough to find it.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec
from attrs import evolve, field, frozen

from domain.model.conversation import Conversation
from domain.model.errors import ConversationNotFound
from domain.model.identifiers import ConversationRef, Owner, SessionId
from domain.model.limits import HIGHEST_MESSAGE_CHARACTERS, MAX_UNPACKED_BYTES, MessageLimit
from domain.service.user_images import ImagePolicy
from entrypoints.http.openai.bodies import ItemBody
from entrypoints.http.openai.input_items import input_items
from entrypoints.http.openai.items import items_of, session_of_item
from entrypoints.http.openai.requests import ResponseParameters
from entrypoints.http.problems import BadRequest
from entrypoints.usecases.conversations import ReadHistory

MAX_CONVERSATIONS: Final = 8
"""From how many conversations one request may take items; each has to be read whole."""

MAX_REFERENCED_BYTES: Final = 2 * MAX_UNPACKED_BYTES
"""How large all items that one request refers to may be together, as JSON: more than one whole
conversation. A reference is short, so the limit on the body does not bound them."""

_WAY_OUT: Final = "Send the item itself instead."


@frozen(kw_only=True)
class ResolvedBody:
    """The members of a body in which items stand instead of references to them.

    Attributes:
        referenced: the conversation of the last reference; None if there are no references.
    """

    members: Mapping[str, Any]
    referenced: Conversation | None = None


async def resolve_references(
    members: Mapping[str, Any], owner: Owner, read_history: ReadHistory
) -> ResolvedBody:
    """The members of a body; unchanged if it continues a conversation or has no references.

    Raises:
        BadRequest: ``message_not_found`` for an item that is not stored; ``body_too_large`` if the
            items are too large together.
        PortError: the store failed.
    """
    sent = members.get("input")
    continues = members.get("conversation") or members.get("previous_response_id")
    if continues or not isinstance(sent, list):
        return ResolvedBody(members=members)
    stored = _StoredItems(owner=owner, read_history=read_history)
    resolved, referenced, size = [], None, 0
    for index, item in enumerate(sent):
        if _is_reference(item):
            referenced, found = await stored.find(item["id"], f"input[{index}].id")
            size += found.size
            if size > MAX_REFERENCED_BYTES:
                raise _too_large(f"input[{index}].id")
            resolved.append(found.document)
        else:
            resolved.append(item)
    return ResolvedBody(members={**members, "input": resolved}, referenced=referenced)


def continuing_referenced(
    parameters: ResponseParameters, referenced: Conversation, images: ImagePolicy
) -> ResponseParameters:
    """The parameters, continuing the referenced conversation if the input begins with all of it.

    Otherwise the client has changed the history, and the input begins another conversation.
    """
    documents = _documents(referenced)
    # A stored message may be longer than the limit is now.
    limit = MessageLimit(characters=HIGHEST_MESSAGE_CHARACTERS)
    items = msgspec.convert(documents, list[ItemBody])
    stored = input_items(items, documents, limit, "input", images)
    turn = referenced.turn
    begins_with_it = list(parameters.inputs[: len(stored)]) == list(stored)
    if turn is None or turn.is_open or not parameters.store or not begins_with_it:
        return parameters
    return evolve(
        parameters,
        session_id=referenced.id,
        after_turn=turn.number,
        inputs=parameters.inputs[len(stored) :],
    )


@frozen(kw_only=True)
class _StoredItem:
    """An item, as a client would send it, and its size as JSON."""

    document: dict[str, Any]
    size: int


@frozen(kw_only=True)
class _StoredItems:
    """The items of the conversations that one request refers to."""

    owner: Owner
    read_history: ReadHistory
    _found: dict[SessionId, tuple[Conversation, Mapping[str, _StoredItem]]] = field(factory=dict)

    async def find(self, item_id: str, path: str) -> tuple[Conversation, _StoredItem]:
        """An item and its conversation; ``path`` is where the body refers to it."""
        session_id = session_of_item(item_id)
        if session_id is not None:
            if session_id not in self._found and len(self._found) == MAX_CONVERSATIONS:
                why = f"References may lead to {MAX_CONVERSATIONS} conversations at most."
                raise BadRequest("message_not_found", f"{why} {_WAY_OUT}", field=path)
            with suppress(ConversationNotFound):
                conversation, items = await self._load(session_id)
                if item_id in items:
                    return conversation, items[item_id]
        why = "No item with this id is stored, or it has been forgotten."
        raise BadRequest("message_not_found", f"{why} {_WAY_OUT}", field=path)

    async def _load(self, session_id: SessionId) -> tuple[Conversation, Mapping[str, _StoredItem]]:
        if session_id not in self._found:
            ref = ConversationRef(self.owner, session_id)
            conversation = await self.read_history.whole(ref)
            items = {
                document["id"]: _StoredItem(
                    document=document, size=len(msgspec.json.encode(document))
                )
                for document in _documents(conversation)
            }
            self._found[session_id] = (conversation, items)
        return self._found[session_id]


def _too_large(path: str) -> BadRequest:
    why = f"The items that 'input' refers to may have {MAX_REFERENCED_BYTES:,} bytes together."
    return BadRequest("body_too_large", why, field=path)


def _is_reference(item: Any) -> bool:
    """Whether an item is a reference; its type may be left out."""
    if not isinstance(item, dict) or not isinstance(item.get("id"), str):
        return False
    kind = item.get("type")
    return kind == "item_reference" or (kind is None and "role" not in item)


def _documents(conversation: Conversation) -> Sequence[dict[str, Any]]:
    """The items of a conversation, as a client would send them."""
    items = items_of(conversation.id, conversation.messages)
    json = msgspec.json.encode([item.document for item in items])
    documents: Sequence[dict[str, Any]] = msgspec.json.decode(json)
    return documents
