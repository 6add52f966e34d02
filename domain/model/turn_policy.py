"""The times a turn lives by."""

from datetime import timedelta

from attrs import frozen


@frozen(kw_only=True)
class TurnPolicy:
    """How patient turns are.

    Attributes:
        heartbeat: a running turn gives a sign of life at least this often.
        dead_after: an open turn that was silent for so long has lost its runner.
        save_within: how long a finished reply is tried to be saved while the store is away.
        make_way_within: how long a stopped turn may take to end; a dead one is found out before.
    """

    heartbeat: timedelta = timedelta(seconds=1)
    dead_after: timedelta = timedelta(seconds=15)
    save_within: timedelta = timedelta(seconds=30)
    make_way_within: timedelta = timedelta(seconds=20)
