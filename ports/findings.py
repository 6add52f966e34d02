"""What a check of the installation found, for ``privity doctor`` and the log."""

from enum import Enum

from attrs import frozen


class Level(Enum):
    """How bad a finding is, from the best to the worst."""

    GOOD = "ok"
    UNKNOWN = "unknown"
    WARNING = "warning"
    PROBLEM = "problem"


@frozen
class Finding:
    """The result of one check.

    Attributes:
        topic: what was checked, such as ``appendonly``.
        text: what was found; never a secret or what a person wrote.
        advice: what to do about it, with a line to paste where there is one; empty if it is fine.
    """

    level: Level
    topic: str
    text: str
    advice: str = ""
