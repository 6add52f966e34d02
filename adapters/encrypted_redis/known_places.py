"""Where the frames of conversations in callers' hands stand, so that a write needs no read before.

No content is kept here, and nothing outlives the conversation it is about.
"""

import weakref

from attrs import frozen

from adapters.encrypted_redis.frames import Place, Stored
from adapters.sealing.sealer import BoundSealer
from domain.model.conversation import Conversation
from domain.model.identifiers import Owner


@frozen(kw_only=True)
class Known:
    """What is known of one conversation's frames, and who may open them."""

    owner: Owner
    sealer: BoundSealer
    places: tuple[Place, ...]
    before: bytes
    size_before: int
    oldest_key: bytes | None

    def stored(self, conversation: Conversation) -> Stored:
        """The same with the conversation that is stored there."""
        return Stored(
            conversation=conversation,
            places=self.places,
            before=self.before,
            size_before=self.size_before,
            oldest_key=self.oldest_key,
        )


class KnownPlaces:
    """Remembers by identity: an equal conversation that was stored elsewhere is not the same."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._known: dict[int, tuple[weakref.ref[Conversation], Known]] = {}

    def remember(self, owner: Owner, stored: Stored, sealer: BoundSealer) -> Conversation:
        """The conversation, about which more is known from now on."""
        conversation = stored.conversation
        name = id(conversation)
        gone = weakref.ref(conversation, lambda _: self._known.pop(name, None))
        known = Known(
            owner=owner,
            sealer=sealer,
            places=stored.places,
            before=stored.before,
            size_before=stored.size_before,
            oldest_key=stored.oldest_key,
        )
        self._known[name] = (gone, known)
        return conversation

    def of(self, conversation: Conversation | None, owner: Owner) -> Known | None:
        """What is known of it; absent when it never came from here, or for this owner."""
        if conversation is None:
            return None
        found = self._known.get(id(conversation))
        if found is None or found[0]() is not conversation or found[1].owner != owner:
            return None
        return found[1]
