"""Finds the conversation of a caller who sends its whole history with each request.

Such a caller names no conversation, so each of its requests would store another copy of its
history. If it names its requests (``prompt_cache_key`` on ``/v1``), the conversation is found under
an id that is derived from that name and from the first item. Nothing is ever replaced: a
conversation is continued only if the request begins with exactly what it holds. So requests that
share a name, such as those of parallel agents, never get into each other's conversations.
"""

from collections.abc import Sequence
from typing import Final, TypeVar

from attrs import frozen

from domain.model.errors import ConversationNotFound
from domain.model.identifiers import ConversationRef, Owner, SessionId
from domain.model.message import TextPart
from domain.model.turn import IdempotencyKey
from domain.service.history_matching import Item, unanswered_items
from domain.service.idempotency import remembers_key
from entrypoints.usecases.dead_turns import SettleTurn
from ports.client_keys import ClientKeys
from ports.errors import StoredStateUnreadable

_Item = TypeVar("_Item", bound=Item)

SAME_BEGINNING: Final = 4
"""How many conversations with the same name and the same first item can be found."""


@frozen(kw_only=True)
class ChainPosition:
    """Where a request continues.

    Attributes:
        session_id: the conversation.
        exists: False if the conversation has to be created.
        after_turn: the number of its newest turn; None if it has to be created, or if the request
            repeats an earlier one with the same Idempotency-Key.
        stored: how many of the items the conversation already has.
    """

    session_id: SessionId
    exists: bool = True
    after_turn: int | None = None
    stored: int = 0

    def unanswered(self, items: Sequence[_Item]) -> Sequence[_Item]:
        """The items of the request that the conversation does not have yet."""
        return items[self.stored :]


@frozen(kw_only=True)
class FindChain:
    """Finds the conversation that a request with a whole history continues."""

    settle_turn: SettleTurn
    keys: ClientKeys

    async def __call__(
        self,
        owner: Owner,
        name: str,
        items: Sequence[Item],
        idempotency: IdempotencyKey | None = None,
    ) -> ChainPosition | None:
        """The position of a request with this name; None if too many chains begin like it.

        Raises:
            StoreUnavailable: the store did not answer.
        """
        for attempt in range(SAME_BEGINNING):
            full_name = "\0".join((name, str(attempt), _text_of(items)))
            session_id = self.keys.session_for_chain(owner, full_name)
            position = await self._in_conversation(
                ConversationRef(owner, session_id), items, idempotency
            )
            if position is not None:
                return position
        return None

    async def _in_conversation(
        self, ref: ConversationRef, items: Sequence[Item], idempotency: IdempotencyKey | None
    ) -> ChainPosition | None:
        try:
            conversation = await self.settle_turn.load(ref)
        except ConversationNotFound:
            return ChainPosition(session_id=ref.session_id, exists=False)
        except StoredStateUnreadable:
            return None
        if remembers_key(conversation, idempotency):
            return ChainPosition(session_id=ref.session_id)
        turn = conversation.turn
        unanswered = unanswered_items(conversation, items)
        if turn is None or turn.is_open or unanswered is None:
            return None
        stored = len(items) - len(unanswered)
        return ChainPosition(session_id=ref.session_id, after_turn=turn.number, stored=stored)


def _text_of(items: Sequence[Item]) -> str:
    """The text of the first item."""
    parts = items[0].parts if items else ()
    return "".join(part.text for part in parts if isinstance(part, TextPart))
