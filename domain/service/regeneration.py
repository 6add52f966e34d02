"""Regenerates a reply: the same user message, or the edited one, gets another reply.

What followed the message is removed.
"""

from collections.abc import Sequence

from domain.model.conversation import Conversation, message_of, truncated
from domain.model.errors import (
    MessageNotFound,
    NothingToAnswer,
    OlderMessagesNeeded,
    TurnInProgress,
)
from domain.model.identifiers import MessageId
from domain.model.message import Message, Part, Role, TextPart
from domain.service.turn_lifecycle import (
    NewTurn,
    add_user_message,
    opened_by,
    require_no_open_turn,
    with_open_turn,
)


def edit_message(
    conversation: Conversation,
    new_turn: NewTurn,
    message_id: MessageId | None,
    parts: Sequence[Part],
    *,
    page_context: str | None = None,
) -> Conversation:
    """The conversation up to a user message, which gets new parts, and a new turn to reply to it.

    ``message_id`` names the message; None means the newest user message. Its page context is
    replaced too, by None if ``page_context`` is None.

    Raises:
        TurnInProgress: another turn is open.
        MessageNotFound: no user message has this id.
        NothingToAnswer: there is no user message.
        OlderMessagesNeeded: the message may precede the loaded ones.
    """
    if opened_by(conversation, new_turn):
        return conversation
    edited = _message_or_newest(conversation, message_id)
    if edited.role is not Role.USER:
        raise MessageNotFound
    return add_user_message(
        conversation, new_turn, edited.id, parts, page_context=page_context, is_new=True
    )


def edit_text(
    conversation: Conversation,
    new_turn: NewTurn,
    message_id: MessageId | None,
    text: TextPart,
    *,
    page_context: str | None = None,
) -> Conversation:
    """Like ``edit_message``, but only the text is replaced; the other parts stay."""
    if opened_by(conversation, new_turn):
        return conversation
    edited = _message_or_newest(conversation, message_id)
    is_text = [isinstance(part, TextPart) for part in edited.parts]
    others = [part for part in edited.parts if not isinstance(part, TextPart)]
    place = is_text.index(True) if any(is_text) else 0
    parts = (*others[:place], text, *others[place:])
    return edit_message(conversation, new_turn, edited.id, parts, page_context=page_context)


def regenerate(
    conversation: Conversation, new_turn: NewTurn, message_id: MessageId | None = None
) -> Conversation:
    """The conversation up to a user message, and a new turn that replies to it again.

    ``message_id`` names that user message, or the reply to replace; None means the newest user
    message. Everything after the user message is removed, except for instructions that directly
    follow it.

    Raises:
        TurnInProgress: another turn is open.
        MessageNotFound: no message of the user or the assistant has this id.
        NothingToAnswer: there is no user message to reply to.
        OlderMessagesNeeded: the message may precede the loaded ones.
    """
    if opened_by(conversation, new_turn):
        return conversation
    turn = conversation.open_turn
    if turn is not None and turn.reply_id == message_id:
        raise TurnInProgress(turn.id)
    named = _message_or_newest(conversation, message_id)
    if named.is_instruction:
        raise MessageNotFound
    shorter = truncated(conversation, _first_after_input(conversation, named))
    dialogue = [message for message in shorter.messages if not message.is_instruction]
    if not dialogue and conversation.earlier:
        raise OlderMessagesNeeded
    if not dialogue or dialogue[-1].role is not Role.USER:
        raise NothingToAnswer
    require_no_open_turn(conversation)
    return with_open_turn(shorter, new_turn)


def _first_after_input(conversation: Conversation, named: Message) -> int:
    """The number of the first message to remove, so that ``named`` is answered (again)."""
    if named.role is not Role.USER:
        return named.number
    after = (message for message in conversation.messages if message.number > named.number)
    following = (message.number for message in after if not message.is_instruction)
    return next(following, conversation.next_number)


def _message_or_newest(conversation: Conversation, message_id: MessageId | None) -> Message:
    """The message with this id; the newest user message for None."""
    if message_id is not None:
        return message_of(conversation, message_id)
    for message in reversed(conversation.messages):
        if message.role is Role.USER:
            return message
    raise OlderMessagesNeeded if conversation.earlier else NothingToAnswer
