"""Finding the conversation that a client calls by a name of its own."""

from attrs import frozen

from domain.model.errors import ConversationNotFound, InvalidInput
from domain.model.identifiers import Owner, SessionId, session_id
from ports.client_keys import ClientKeys
from ports.conversation_store import ConversationStateStore
from ports.errors import StoredStateUnreadable


@frozen(kw_only=True)
class FindConversation:
    """Tells which session a name means; names of different owners never meet."""

    store: ConversationStateStore
    keys: ClientKeys

    async def __call__(self, owner: Owner, name: str) -> SessionId:
        """The session of this owner with that id, else the one that the name stands for.

        The latter need not exist.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        wanted = _as_session_id(name)
        if wanted is not None and await self._is_there(owner, wanted):
            return wanted
        return self.stands_for(owner, name)

    def stands_for(self, owner: Owner, name: str) -> SessionId:
        """The session that the name stands for, whatever it looks like."""
        return self.keys.session_named(owner, name)

    async def _is_there(self, owner: Owner, wanted: SessionId) -> bool:
        try:
            await self.store.load(owner, wanted, last=1)
        except ConversationNotFound:
            return False
        except StoredStateUnreadable:
            # Damaged is not absent: it must neither be hidden nor begun anew.
            return True
        return True


def _as_session_id(name: str) -> SessionId | None:
    try:
        return session_id(name)
    except InvalidInput:
        return None
