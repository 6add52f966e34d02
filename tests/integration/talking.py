"""Conversations in a real store, for tests."""

from functools import partial

from domain.model.identifiers import Owner
from tests.builders import ID, OWNER, a_conversation, answered, asked
from tests.integration.storing import Storing


async def talked(kept: Storing, turns: int, owner: Owner = OWNER) -> None:
    """A conversation of so many turns."""
    await kept.store.create(owner, a_conversation())
    for number in range(1, turns + 1):
        await kept.store.update(owner, ID, partial(asked, text=f"question {number}", number=number))
        await kept.store.update(
            owner, ID, partial(answered, text=f"answer {number}", number=number)
        )
