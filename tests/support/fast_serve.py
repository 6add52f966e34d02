"""``privity serve``, whose turns live by shorter times; all else is as people run it."""

from datetime import timedelta
from typing import Final

import punq

from domain.model.turn import TurnPolicy
from entrypoints.cli import serve
from entrypoints.cli.main import run
from tests.support.service import opening

POLICY: Final = TurnPolicy(
    heartbeat=timedelta(seconds=0.5),
    # Above what a Redis may take to answer before the connection knows that something is wrong.
    dead_after=timedelta(seconds=4),
    save_timeout=timedelta(seconds=4),
    stop_timeout=timedelta(seconds=8),
)


def _hurry(container: punq.Container) -> None:
    container.register(TurnPolicy, instance=POLICY)


def main() -> None:
    vars(serve)["open_container"] = opening(_hurry)
    run()
