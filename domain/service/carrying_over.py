"""Begins a conversation that continues another one, for example one that is full.

It begins with the summary of the other conversation and with copies of its newest exchanges, which
take only a share of every limit. Messages that are neither copied nor covered by the summary would
be lost to it, so they are folded into the summary first: see ``summarizing``.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from attrs import evolve, field, frozen

from domain.model.budget import Budget
from domain.model.conversation import Conversation, with_message
from domain.model.identifiers import MessageId, SessionId
from domain.model.limits import (
    MAX_CONVERSATION_BYTES,
    MAX_CONVERSATION_IMAGE_BYTES,
    MAX_CONVERSATION_MESSAGES,
    MAX_UNPACKED_BYTES,
)
from domain.model.message import Message, exchanges_of, text_bytes, utf8_length
from domain.model.prompt import DEFAULT_OPTIONS
from domain.service.forgetting import KEEP
from domain.service.prompt_building import dialogue_of, room_for_messages
from domain.service.user_images import without_image_content

SHARE: Final = 4
"""The copied messages take at most a quarter of every limit on a conversation."""

_NO_TURN: Final = 0
"""The turn of the copies: their turns were turns of the other conversation."""


@frozen(kw_only=True)
class CarriedOver:
    """What a new conversation gets of another one, besides its summary.

    Attributes:
        messages: the messages to copy, oldest first: instructions, and the newest exchanges.
        until: number of the first message that the summary need not cover.
    """

    messages: tuple[Message, ...] = field(repr=False)
    until: int

    @property
    def counted_bytes(self) -> int:
        """Bytes of the messages that count towards limits."""
        return sum(message.counted_bytes for message in self.messages)

    def with_content_of(self, conversation: Conversation) -> "CarriedOver":
        """The same messages as ``conversation`` has them, with few images."""
        numbers = {message.number for message in self.messages}
        messages = (message for message in conversation.messages if message.number in numbers)
        return evolve(self, messages=_with_few_images(messages))


def carried_over(conversation: Conversation, system: str, budget: Budget) -> CarriedOver:
    """What to copy: instructions, and the newest exchanges that the model still sees.

    They take at most ``KEEP`` of the prompt's room and a quarter of every other limit. The newest
    exchange may take more of the room, but not more of another limit.
    """
    share, instructions = _Share(), []
    for message in conversation.messages:
        if message.is_instruction and share.has_room_for([message]):
            share = share.without([message])
            instructions.append(message)
    room = KEEP * room_for_messages(conversation, system, budget, DEFAULT_OPTIONS).usual
    copied: list[Message] = []
    for exchange in reversed(exchanges_of(dialogue_of(conversation.working_memory))):
        room -= sum(map(budget.rates.of_message, exchange))
        if not share.has_room_for(exchange) or (copied and room < 0):
            break
        share = share.without(exchange)
        copied = [*exchange, *copied]
    messages = sorted([*instructions, *copied], key=lambda message: message.number)
    until = copied[0].number if copied else conversation.next_number
    return CarriedOver(messages=_with_few_images(messages), until=until)


def continuation(
    conversation: Conversation,
    carried: CarriedOver,
    ids: Sequence[MessageId],
    *,
    session_id: SessionId,
    at: datetime,
) -> Conversation:
    """The new conversation, with the summary, the language and the metadata of this one.

    The system prompt and the hook's state are this one's too.

    ``ids`` has a new id for each message in ``carried``. The retention counts from ``at``.
    """
    following = Conversation(
        id=session_id,
        locale=conversation.locale,
        created_at=at,
        retained_since=at,
        summary=conversation.summary,
        carried_summary=conversation.summary,
        metadata=conversation.metadata,
        prompt_name=conversation.prompt_name,
        hook_state=conversation.hook_state,
    )
    for message, message_id in zip(carried.messages, ids, strict=True):
        number = following.next_number
        if message.is_instruction:
            following = evolve(following, instructions_from=following.instructions_from or number)
        copy = evolve(message, id=message_id, number=number, turn=_NO_TURN)
        following = with_message(following, copy)
    return following


@frozen(kw_only=True)
class _Share:
    """What the copied messages may still take.

    Texts are counted without compression, although the limit on stored bytes counts them with it.
    """

    messages: int = MAX_CONVERSATION_MESSAGES // SHARE
    unpacked: int = MAX_UNPACKED_BYTES // SHARE
    text: int = MAX_CONVERSATION_BYTES // SHARE

    def has_room_for(self, messages: Sequence[Message]) -> bool:
        left = self.without(messages)
        return min(left.messages, left.unpacked, left.text) >= 0

    def without(self, messages: Sequence[Message]) -> "_Share":
        return evolve(
            self,
            messages=self.messages - len(messages),
            unpacked=self.unpacked - sum(m.counted_bytes - m.image_bytes for m in messages),
            text=self.text - sum(map(_text_bytes, messages)),
        )


def _text_bytes(message: Message) -> int:
    data = utf8_length((message.page_context or "") + (message.hook_state_before or ""))
    return data + sum(map(text_bytes, message.parts))


def _with_few_images(messages: Iterable[Message]) -> tuple[Message, ...]:
    """The messages; with a note in place of each image if all images take more than their share."""
    messages = tuple(messages)
    if sum(message.image_bytes for message in messages) <= MAX_CONVERSATION_IMAGE_BYTES // SHARE:
        return messages
    return tuple(map(without_image_content, messages))
