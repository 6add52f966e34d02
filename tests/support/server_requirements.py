"""Which servers a test run requires, so that a missing one is an error instead of a skip."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

VARIABLE: Final = "PRIVITY_TEST_SERVERS"
ALL: Final = "all"


def problems(required: str, servers: Collection[str], missing: Mapping[str, str]) -> Sequence[str]:
    """A line for each required server that is missing or unknown.

    ``required`` is the value of ``VARIABLE``; ``missing`` has the reason for each missing server.
    """
    listed = [name for part in required.split(",") if (name := part.strip())]
    names = sorted(servers) if ALL in listed else listed
    unknown = f"is none of {', '.join([ALL, *sorted(servers)])}"
    reasons = {name: missing.get(name, "") if name in servers else unknown for name in names}
    return [f"{VARIABLE}: {name}: {reason}" for name, reason in reasons.items() if reason]


def summary(servers: Collection[str], missing: Mapping[str, str]) -> Sequence[str]:
    """The lines at the end of a run: the servers it used, and those it ran without."""
    used = ", ".join(sorted(set(servers) - set(missing)))
    without = [f"servers missing: {name}: {why}" for name, why in sorted(missing.items())]
    return [f"servers used: {used}", *without]
