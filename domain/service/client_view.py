"""Compares what a client shows of a conversation with what is stored.

A tab that has not seen what another tab wrote must not delete it.
"""

from domain.model.conversation import Conversation, find_message
from domain.model.errors import ConversationMovedOn, OlderMessagesNeeded
from domain.model.identifiers import MessageId
from domain.model.message import Role


def require_seen(conversation: Conversation, newest_seen: MessageId | None) -> None:
    """Raise if the user has sent messages after ``newest_seen``, the newest that a client shows.

    A message that is not stored proves nothing: it may never have arrived. None means that the
    client does not say what it shows.

    Raises:
        ConversationMovedOn: there are later messages of the user.
        OlderMessagesNeeded: the message may precede the loaded ones.
    """
    if newest_seen is None:
        return
    seen = find_message(conversation, newest_seen)
    if seen is None:
        if conversation.earlier:
            raise OlderMessagesNeeded
        return
    later = (message for message in conversation.messages if message.number > seen.number)
    if any(message.role is Role.USER for message in later):
        raise ConversationMovedOn
