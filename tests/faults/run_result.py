"""How a run of kills at random goes, and what came out."""

from collections import Counter

from attrs import frozen


@frozen(kw_only=True)
class Plan:
    """How the run goes."""

    seed: int
    kills: int
    spares_processes: bool = False
    processes: int = 3
    people: int = 12
    between: float = 0.3


@frozen(kw_only=True)
class Result:
    """What came out.

    Attributes:
        lost, doubled: acknowledged turns that are not there, or more than once, or out of order.
        stuck: conversations that took no further turn.
        endless: keys without an end of their stay.
        asked_again: acknowledged turns for which the model was asked more than once. It may only
            be when a process died before the first piece: such a turn has failed.
        deaths: how many processes were killed.
    """

    acknowledged: int
    outcomes: Counter[str]
    lost: list[str]
    doubled: list[str]
    stuck: list[str]
    endless: list[str]
    asked_again: list[str]
    deaths: int

    def lines(self) -> list[str]:
        """For people."""
        found = {
            "acknowledged turns": self.acknowledged,
            "of them lost": len(self.lost),
            "doubled or out of order": len(self.doubled),
            "stuck conversations": len(self.stuck),
            "keys without an end": len(self.endless),
            f"asked again, after {self.deaths} deaths of processes": len(self.asked_again),
        }
        return [*(f"{count:6} {what}" for what, count in found.items()), f"{dict(self.outcomes)}"]

    @property
    def is_good(self) -> bool:
        paid_twice = self.asked_again and not self.deaths
        return not (self.lost or self.doubled or self.stuck or self.endless or paid_twice)
