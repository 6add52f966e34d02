"""Creates and edits conversations item by item, outside their turns."""

from collections.abc import Mapping, Sequence

from attrs import frozen

from domain.model.assistant import Assistant
from domain.model.conversation import Conversation, new_conversation
from domain.model.identifiers import ConversationRef, MessageId, Owner
from domain.model.rate_limits import Charge, Payer, Quota
from domain.service.item_editing import (
    append_items,
    without_part,
    without_turn,
)
from domain.service.metadata import charged_bytes, with_metadata
from entrypoints.usecases.create_response import InputItem, stored_bytes_of, with_ids
from entrypoints.usecases.open_turn import OpenTurn
from ports.client_keys import ClientKeys
from ports.clock import Clock
from ports.conversation_store import ConversationStateStore
from ports.identifier_source import IdentifierSource
from ports.rate_limiter import RateLimiter


@frozen(kw_only=True)
class CreateConversation:
    """Creates a conversation without a welcome, with the full retention from the start."""

    store: ConversationStateStore
    assistant: Assistant
    limiter: RateLimiter
    identifiers: IdentifierSource
    clock: Clock

    async def __call__(
        self,
        owner: Owner,
        inputs: Sequence[InputItem],
        metadata: Mapping[str, str],
        *,
        payer: Payer,
    ) -> Conversation:
        """The new conversation, holding ``inputs``.

        Raises:
            InvalidInput: a tool result in ``inputs`` has no open tool call.
            ConversationFull: they are too large for one conversation.
            TooManyRequests: this caller created or stored too much.
            StoreUnavailable: the store did not answer.
        """
        now, locale = self.clock.now(), self.assistant.default_locale
        empty = new_conversation(self.identifiers.session_id(), locale=locale, at=now)
        filled = append_items(empty, with_ids(inputs, self.identifiers), now)
        conversation = with_metadata(filled, metadata)
        size = stored_bytes_of(inputs) + charged_bytes(metadata)
        amounts = {Quota.NEW: 1, Quota.STORED_BYTES: size}
        await self.limiter.consume(Charge(payer=payer, amounts=amounts))
        await self.store.create(owner, conversation)
        return conversation


@frozen(kw_only=True)
class EditItems:
    """Adds and deletes items. While a turn is open only the metadata can be changed.

    Every method raises ``ConversationNotFound`` if the conversation does not exist, and
    ``PortError`` if the store failed.
    """

    store: ConversationStateStore
    open_turn: OpenTurn
    limiter: RateLimiter
    keys: ClientKeys
    identifiers: IdentifierSource
    clock: Clock

    async def add(
        self, ref: ConversationRef, inputs: Sequence[InputItem], *, payer: Payer
    ) -> Conversation:
        """The conversation with ``inputs`` at its end; its retention is restarted.

        Raises:
            TurnInProgress: a reply is being written.
            InvalidInput: a tool result in ``inputs`` has no open tool call.
            ConversationFull: it would exceed its size limit.
            TooManyRequests: this caller stored too much.
        """
        amounts = {Quota.MESSAGES: 1, Quota.STORED_BYTES: stored_bytes_of(inputs)}
        conversation_digest = self.keys.pseudonym(f"conversation {ref.session_id}")
        charge = Charge(payer=payer, amounts=amounts, conversation=conversation_digest)
        await self.limiter.consume(charge)
        items, now = with_ids(inputs, self.identifiers), self.clock.now()
        return await self.open_turn.edit(
            ref, lambda conversation: append_items(conversation, items, now)
        )

    async def delete_item(
        self, ref: ConversationRef, message_id: MessageId, index: int | None
    ) -> Conversation:
        """The conversation without the part at ``index`` of a message; None deletes the message.

        Raises:
            TurnInProgress: a reply is being written.
            MessageNotFound: there is no such message or part.
        """
        return await self.open_turn.edit(
            ref, lambda conversation: without_part(conversation, message_id, index)
        )

    async def delete_turn(self, ref: ConversationRef, number: int) -> bool:
        """Delete one turn; True if its conversation has anything else, otherwise it is forgotten.

        Raises:
            TurnInProgress: a reply is being written.
            MessageNotFound: there is no such turn.
        """
        remaining = await self.open_turn.edit(
            ref, lambda conversation: without_turn(conversation, number)
        )
        if not _is_empty(remaining):
            return True
        await self.store.forget_if(ref, _is_empty)
        return False

    async def set_metadata(
        self, ref: ConversationRef, metadata: Mapping[str, str], *, payer: Payer
    ) -> Conversation:
        """The conversation with its metadata replaced.

        Raises:
            ConversationFull: it would exceed its size limit.
            TooManyRequests: this caller stored too much.
        """
        amounts = {Quota.STORED_BYTES: charged_bytes(metadata)}
        await self.limiter.consume(Charge(payer=payer, amounts=amounts))
        return await self.store.update(
            ref, lambda conversation: with_metadata(conversation, metadata), last=1
        )


def _is_empty(conversation: Conversation) -> bool:
    has_messages = conversation.messages or conversation.earlier
    return not has_messages and conversation.open_turn is None and not conversation.metadata
