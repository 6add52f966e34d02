"""Limits on how much a caller may use in a period, and whose use is counted. See docs/limits.md."""

from collections.abc import Mapping
from datetime import timedelta
from enum import Enum
from types import MappingProxyType
from typing import Final

from attrs import field, frozen
from attrs.validators import ge

MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)


class Quota(Enum):
    """What is counted."""

    MESSAGES = "messages"
    """Requests that open a turn or add items."""

    NEW = "new"
    """New conversations, and client keys that are issued without a conversation."""

    STORED_BYTES = "stored-bytes"
    """Bytes of text that are stored."""

    TOKENS = "tokens"
    """Tokens of the language model, in prompts and in replies."""

    OPEN_TURNS = "open-turns"
    """Replies that are being written at the same time, stored or not."""


class Scope(Enum):
    """For whom a quota is counted."""

    CLIENT_KEY = "client-key"
    CONVERSATION = "conversation"
    ADDRESS = "address"
    TOTAL = "total"


@frozen(kw_only=True)
class Limit:
    """The largest amount of a quota that may be used.

    Attributes:
        window: the time in which a used-up quota becomes available again; None for open turns,
            which are limited at each moment.
    """

    quota: Quota
    scope: Scope
    amount: int = field(validator=ge(1))
    window: timedelta | None = None

    @property
    def name(self) -> str:
        """A name for headers and for keys in Redis."""
        return f"{self.quota.value}-{self.scope.value}"

    @property
    def is_daily_budget(self) -> bool:
        """Whether it limits a day's model tokens, for all callers or for those from one address."""
        return self.quota is Quota.TOKENS and self.window == DAY


@frozen(kw_only=True)
class Payer:
    """Whose limits count a request. Both names are keyed digests.

    Attributes:
        client_key: the client key, or the person that it speaks for if the operator issued it;
            None if the caller has no client key yet.
        address: the network address; None if the operator issued the client key, because an app
            server sends the requests of many people from one address.
    """

    client_key: str | None
    address: str | None


def _frozen_amounts(amounts: Mapping[Quota, int]) -> Mapping[Quota, int]:
    return MappingProxyType({quota: amount for quota, amount in amounts.items() if amount})


@frozen(kw_only=True)
class Charge:
    """What a payer uses.

    Attributes:
        amounts: how much of each quota; a negative amount gives back what was not used after all.
        conversation: keyed digest of the conversation; None if it is in none.
    """

    payer: Payer
    amounts: Mapping[Quota, int] = field(converter=_frozen_amounts)
    conversation: str | None = None


@frozen(kw_only=True)
class TurnSlot:
    """One of the open turns that a payer may have at once.

    Attributes:
        conversation: keyed digest of the turn's conversation, which never has two open turns.
        holder: the turn's id, which distinguishes it from earlier turns of its conversation.
    """

    payer: Payer
    conversation: str
    holder: str


SLOT_LEASE: Final = timedelta(seconds=30)
"""How long a slot is held without a renewal; after that, its process counts as dead.

It is short because a request that fails while Redis does not answer leaves its slot behind, and the
slot may block the caller's next attempt.
"""

SLOT_RENEWAL: Final = timedelta(seconds=10)
"""How old a lease may become before it is renewed."""

OPEN_TURNS_RETRY: Final = timedelta(seconds=5)
"""When to try again if too many turns are open. When one of them will end is unknown."""
