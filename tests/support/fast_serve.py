"""``privity serve`` with shorter timeouts for turns, and otherwise as in production."""

from datetime import timedelta
from typing import Final

import punq

from adapters.encrypted_redis import process_lease
from domain.model.turn import TurnPolicy
from entrypoints.cli import serve
from entrypoints.cli.main import run
from tests.support.service import opening

POLICY: Final = TurnPolicy(
    heartbeat=timedelta(seconds=0.5),
    # Longer than Redis may take to answer before the connection counts as broken.
    dead_after=timedelta(seconds=4),
    save_timeout=timedelta(seconds=4),
    stop_timeout=timedelta(seconds=8),
)


def _use_short_timeouts(container: punq.Container) -> None:
    container.register(TurnPolicy, instance=POLICY)


def main() -> None:
    vars(process_lease)["LEASE_TTL"] = timedelta(seconds=3)
    vars(serve)["open_container"] = opening(_use_short_timeouts)
    run()
