"""Which counters a request moves, and how a counter moves.

The algorithm is GCRA, a leaky bucket that needs one number per counter: the moment at which
everything that was used will be available again. Each use moves that moment into the future. A use
that would move it further than the window of the limit is refused. What is counted afterwards, such
as the tokens of a reply, is never refused. What exceeds the limit is owed, up to the amount of the
limit, and delays later requests. So a moment lies at most two windows ahead. If it lies further
ahead, the clock was set back, and nothing counts as used. Any clock will do; moments are
in microseconds.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from attrs import frozen

from domain.model.rate_limits import Charge, Limit, Payer, Quota, Scope

_ROUNDING: Final = 1.0
"""The tolerance in microseconds, because adding many small costs is not exact."""


@frozen(kw_only=True)
class Counter:
    """One counter that a charge moves.

    Attributes:
        subject: whose counter it is: a keyed digest, or ``all``.
        amount: how much the charge uses; negative to give back.
    """

    limit: Limit
    subject: str
    amount: int

    @property
    def window(self) -> float:
        """The limit's window in microseconds."""
        return microseconds(self.limit.window or timedelta())

    @property
    def furthest(self) -> float:
        """How many microseconds ahead a moment can lie: one window is used up, another is owed."""
        return 2 * self.window

    @property
    def cost(self) -> float:
        """By how many microseconds the charge moves the counter; at most by its window.

        A charge larger than the limit is possible while nothing is used, and uses up everything.
        Otherwise it would be refused for ever, whatever its ``Retry-After`` says.
        """
        amount = max(-self.limit.amount, min(self.amount, self.limit.amount))
        return amount * self.window / self.limit.amount


def microseconds(duration: timedelta) -> float:
    """``duration`` in microseconds."""
    return duration / timedelta(microseconds=1)


def counters_of(limits: Sequence[Limit], charge: Charge) -> tuple[Counter, ...]:
    """The counters that ``charge`` moves."""
    return tuple(
        Counter(limit=limit, subject=subject, amount=charge.amounts[limit.quota])
        for limit in limits
        if limit.quota in charge.amounts
        and limit.quota is not Quota.OPEN_TURNS
        and (subject := _subject(limit.scope, charge.payer, charge.conversation))
    )


def open_turn_limits(limits: Sequence[Limit], payer: Payer) -> Iterator[tuple[Limit, str]]:
    """The limits on the open turns of ``payer``, each with the subject whose turns count."""
    for limit in limits:
        subject = _subject(limit.scope, payer, None)
        if limit.quota is Quota.OPEN_TURNS and subject:
            yield limit, subject


def moved(counter: Counter, moment: float | None, now: float) -> float:
    """The moment of ``counter`` after its charge; may lie further ahead than its window.

    ``moment`` is the stored one, None for a counter that was not used.
    """
    return max(now, current(counter, moment, now) + counter.cost)


def current(counter: Counter, moment: float | None, now: float) -> float:
    """The stored ``moment``, or ``now`` if nothing counts as used."""
    if moment is None or moment > now + counter.furthest + _ROUNDING:
        return now
    return max(moment, now)


def excess(counter: Counter, moment: float, now: float) -> float:
    """By how many microseconds ``moment`` lies too far ahead: the time until a retry succeeds."""
    beyond = moment - now - counter.window
    return beyond if beyond > _ROUNDING and counter.amount > 0 else 0.0


def remaining(limit: Limit, left: float) -> int:
    """How much of ``limit`` is left if ``left`` microseconds of its window are unused."""
    return int(
        max(left, 0.0) * limit.amount / microseconds(limit.window or timedelta(microseconds=1))
    )


def _subject(scope: Scope, payer: Payer, conversation: str | None) -> str | None:
    match scope:
        case Scope.CLIENT_KEY:
            return payer.client_key
        case Scope.CONVERSATION:
            return conversation
        case Scope.ADDRESS:
            return payer.address
        case Scope.TOTAL:
            return "all"
