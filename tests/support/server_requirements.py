"""Which servers a machine must have, so that a missing one is an error where it matters."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

VARIABLE: Final = "PRIVITY_TEST_SERVERS"
ALL: Final = "all"


def problems(required: str, known: Collection[str], missing: Mapping[str, str]) -> Sequence[str]:
    """A line for each server that is required and not there, or not known at all."""
    names = [name for part in required.split(",") if (name := part.strip())]
    wanted = sorted(known) if ALL in names else names
    unknown = f"is none of {', '.join([ALL, *sorted(known)])}"
    reasons = {name: missing.get(name, "") if name in known else unknown for name in wanted}
    return [f"{VARIABLE}: {name}: {reason}" for name, reason in reasons.items() if reason]


def summary(known: Collection[str], missing: Mapping[str, str]) -> Sequence[str]:
    """What the tests of this run had, and what they did without."""
    used = ", ".join(sorted(set(known) - set(missing)))
    absent = [f"servers absent: {name}: {why}" for name, why in sorted(missing.items())]
    return [f"servers at hand: {used}", *absent]
