"""Continues a reply that ended early, in the same message."""

from attrs import evolve

from domain.model.conversation import Conversation, message_of
from domain.model.errors import NothingToContinue
from domain.model.identifiers import MessageId
from domain.model.message import Message
from domain.service.cut_replies import cut_point
from domain.service.turn_lifecycle import NewTurn, opened_by, require_no_open_turn, with_open_turn


def is_being_continued(conversation: Conversation, message_id: MessageId | None) -> bool:
    """Whether the open turn continues this reply, so that another request for it joins the turn.

    None means the last message.
    """
    turn = conversation.open_turn
    is_named = turn is not None and message_id in (None, turn.reply_id)
    return is_named and conversation.continues_cut_reply


def continue_reply(
    conversation: Conversation, new_turn: NewTurn, message_id: MessageId | None = None
) -> Conversation:
    """The conversation with a new turn that continues the last message where it was cut.

    ``message_id`` names that message; None means the last one, whichever it is.

    Raises:
        TurnInProgress: another turn is open; it cannot be interrupted for this.
        MessageNotFound: no message has this id.
        NothingToContinue: the message is not the last one, or see ``cut_point``.
        OlderMessagesNeeded: the message may precede the loaded ones.
    """
    if opened_by(conversation, new_turn):
        return conversation
    require_no_open_turn(conversation, can_interrupt=False)
    reply = _last_message(conversation, message_id)
    cut_at = None if reply is None else cut_point(reply)
    if reply is None or cut_at is None:
        raise NothingToContinue
    return with_open_turn(
        conversation, evolve(new_turn, reply_id=reply.id), continues=True, cut_at=cut_at
    )


def _last_message(conversation: Conversation, message_id: MessageId | None) -> Message | None:
    """The last message; None if there is none, or if ``message_id`` names another one."""
    named = None if message_id is None else message_of(conversation, message_id)
    last = conversation.messages[-1] if conversation.messages else None
    return last if named is None or named is last else None
