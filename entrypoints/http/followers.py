"""Limits how many streams of running replies one caller follows at the same time.

Each piece of a reply is rendered for each of its followers, so a reply with thousands of them would
keep the process busy.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from domain.model.rate_limits import Payer
from entrypoints.http.problems import TooManyAtOnce

MAX_PER_CLIENT_KEY: Final = 16
MAX_PER_ADDRESS: Final = 128


class Followers:
    """Counts the streams of this process that follow a reply which another request began."""

    def __init__(self) -> None:
        """Start without any."""
        self._open: Counter[str] = Counter()

    def add(self, payer: Payer) -> Callable[[], None]:
        """Count one more stream; returns a function to call once, when the stream has ended.

        Raises:
            TooManyAtOnce: this client key or this address follows too many already.
        """
        limits = {payer.client_key: MAX_PER_CLIENT_KEY, payer.address: MAX_PER_ADDRESS}
        names = [name for name in limits if name is not None]
        if any(self._open[name] >= limits[name] for name in names):
            raise TooManyAtOnce("too_many_followers")
        self._open.update(names)
        return lambda: self._remove(names)

    def _remove(self, names: Sequence[str]) -> None:
        self._open.subtract(names)
        for name in names:
            if not self._open[name]:
                del self._open[name]
