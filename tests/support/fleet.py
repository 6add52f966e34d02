"""Service processes over one Redis, and one person's browser that may meet any of them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from attrs import define

from tests.support.native_client import NativeClient
from tests.support.ordered_model import OrderedModel
from tests.support.processes import ServerProcess, serving
from tests.support.redis_store import RING

HURRIED = "from tests.support.fast_serve import main; main()"


@define
class Fleet:
    """Processes of one service."""

    redis_url: str
    ordered_model: OrderedModel
    _stack: AsyncExitStack

    async def one(self, **settings: str) -> ServerProcess:
        """One more process; it is ended with the fleet."""
        known = {
            "REDIS_URL": self.redis_url,
            "PRIVITY_KEYS": RING,
            "MODEL_BASE_URL": self.ordered_model.url,
            "MODEL_NAME": "teller",
            "MODEL_SILENCE_SECONDS": "10",
            "PRIVITY_NEW_PER_HOUR": "1000000",
            "PRIVITY_STORED_BYTES_PER_HOUR": "1000000000000",
        }
        return await self._stack.enter_async_context(serving(HURRIED, **{**known, **settings}))


@asynccontextmanager
async def a_fleet(redis_url: str, ordered_model: OrderedModel) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        yield Fleet(redis_url, ordered_model, stack)


def meeting(service: ServerProcess, client: NativeClient | None = None) -> NativeClient:
    """The same browser, or a new one, led to this process."""
    met = NativeClient(service.url)
    met.cookie = client.cookie if client else None
    return met
