"""Changing a conversation outside its turns.

Beginning a conversation before anybody is asked to reply in it.

What a caller puts in, before it has its ids.
"""

from collections.abc import Iterable, Mapping, Sequence

from attrs import evolve, frozen

from domain.model.conversation import Conversation
from domain.model.identifiers import ConversationRef, MessageId, Owner, SessionId
from domain.model.message import (
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    UnknownPart,
)
from domain.model.prompt import DEFAULT_OPTIONS, ReplyOptions
from domain.model.turn import IdempotencyKey
from domain.service.item_editing import (
    NewItem,
    append_items,
    with_metadata,
    without_part,
    without_turn,
)
from domain.service.turn_lifecycle import new_conversation
from entrypoints.usecases.open_turn import OnBusy, OpenTurn
from ports.assistant_profile import AssistantProfile
from ports.clock import Clock
from ports.conversation_store import ConversationStateStore
from ports.identifier_source import IdentifierSource
from ports.rate_limiter import Quota, RateLimiter


@frozen(kw_only=True)
class InputItem:
    """One thing said by somebody.

    Attributes:
        parts: of the assistant's side exactly one, of a user's all of the message.
    """

    role: Role
    parts: tuple[Part, ...]


@frozen(kw_only=True)
class ResponseRequest:
    """What is put in.

    Attributes:
        session_id: the conversation it belongs to; absent begins a new one.
        after_turn: number of the turn it follows; absent for the newest.
        emit: kept beside it.
        address: what limits are counted by.
        idempotency_key: the caller's own; absent without one.
        idempotency: the same key as digests, absent with it.
    """

    inputs: Sequence[InputItem]
    address: str
    session_id: SessionId | None = None
    after_turn: int | None = None
    options: ReplyOptions = DEFAULT_OPTIONS
    note: UnknownPart | None = None
    idempotency_key: str | None = None
    idempotency: IdempotencyKey | None = None


def with_ids(inputs: Sequence[InputItem], identifiers: IdentifierSource) -> tuple[NewItem, ...]:
    """The same with the ids that new messages will have."""
    return tuple(
        NewItem(id=identifiers.message_id(), role=one.role, parts=one.parts) for one in inputs
    )


def size_of(inputs: Sequence[InputItem]) -> int:
    """Bytes of UTF-8 that they add to what is stored."""
    return _size(part for one in inputs for part in one.parts)


def size_of_all(conversation: Conversation) -> int:
    """Bytes of UTF-8 of all that was said in it."""
    return _size(part for said in conversation.messages for part in said.parts)


def _size(parts: Iterable[Part]) -> int:
    return sum(len(_text_of(part).encode("utf-8", "surrogatepass")) for part in parts)


def _text_of(part: Part) -> str:
    match part:
        case TextPart(text) | ReasoningPart(text):
            return text
        case ToolCallPart():
            return part.name + part.arguments
        case ToolResultPart():
            return part.output
        case UnknownPart(json):
            return json
        case _:
            return ""


@frozen(kw_only=True)
class EditItems:
    """Adds, leaves out and describes. While a reply is being written only describing is possible.

    Every method raises ``ConversationNotFound`` when the conversation is absent, and ``PortError``
    when the store failed.
    """

    store: ConversationStateStore
    open_turn: OpenTurn
    limiter: RateLimiter
    identifiers: IdentifierSource
    clock: Clock

    async def add(
        self, ref: ConversationRef, inputs: Sequence[InputItem], *, address: str
    ) -> Conversation:
        """The whole conversation with ``inputs`` at its end; its stay is restarted.

        Raises:
            TurnInProgress: a reply is being written.
            InvalidInput: ``inputs`` do not fit what is there.
            ConversationTooLarge: it has reached its bound.
            TooManyRequests: this address stored too much.
        """
        await self.limiter.consume(address, Quota.STORED, size_of(inputs))
        given, now = with_ids(inputs, self.identifiers), self.clock.now()
        return await self.open_turn(
            ref, lambda known: append_items(known, given, now), OnBusy.REJECT, None
        )

    async def delete_item(
        self, ref: ConversationRef, message_id: MessageId, place: int | None
    ) -> Conversation:
        """The conversation without one part of a message, or without the message.

        Raises:
            TurnInProgress: a reply is being written.
            MessageNotFound: there is no such part.
        """
        return await self.open_turn(
            ref,
            lambda known: without_part(known, message_id, place),
            OnBusy.REJECT,
            None,
        )

    async def delete_turn(self, ref: ConversationRef, number: int) -> None:
        """Forget one turn; with the last that was said the whole conversation goes.

        Raises:
            TurnInProgress: a reply is being written.
            MessageNotFound: there is nothing of such a turn.
        """
        left = await self.open_turn(
            ref, lambda known: without_turn(known, number), OnBusy.REJECT, None
        )
        if _is_empty(left):
            await self.store.forget_if(ref, _is_empty)

    async def set_metadata(self, ref: ConversationRef, metadata: Mapping[str, str]) -> Conversation:
        """The conversation with ``metadata`` instead of what it had."""
        return await self.store.update(
            ref, lambda known: with_metadata(known, dict(metadata)), last=1
        )


def _is_empty(conversation: Conversation) -> bool:
    said = conversation.messages or conversation.earlier or conversation.open_turn
    return not said and not conversation.metadata


@frozen(kw_only=True)
class CreateConversation:
    """Makes a conversation without a welcome; it has its full stay from the beginning."""

    store: ConversationStateStore
    profile: AssistantProfile
    limiter: RateLimiter
    identifiers: IdentifierSource
    clock: Clock

    async def __call__(
        self,
        owner: Owner,
        inputs: Sequence[InputItem],
        metadata: Mapping[str, str],
        *,
        address: str,
    ) -> Conversation:
        """The new conversation, holding ``inputs``.

        Raises:
            InvalidInput: ``inputs`` do not fit together.
            ConversationTooLarge: they are too much for one conversation.
            TooManyRequests: this address began or stored too much.
            StoreUnavailable: nothing was stored, as far as the store could tell.
        """
        now = self.clock.now()
        locale = self.profile.assistant().default_locale
        empty = new_conversation(self.identifiers.session_id(), locale=locale, at=now)
        full = append_items(empty, with_ids(inputs, self.identifiers), now)
        await self.limiter.consume(address, Quota.STORED, size_of(inputs))
        await self.limiter.consume(address, Quota.NEW)
        conversation = evolve(full, metadata=metadata)
        await self.store.create(owner, conversation)
        return conversation
