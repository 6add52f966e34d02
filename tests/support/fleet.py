"""Several processes of the service over one Redis, and a browser that can use any of them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from attrs import define

from tests.support.instructed_model import InstructedModel
from tests.support.native_client import NativeClient
from tests.support.processes import ServerProcess, serving
from tests.support.redis_store import RING

FAST_SERVE = "from tests.support.fast_serve import main; main()"


@define
class Fleet:
    """Processes of one service."""

    redis_url: str
    model: InstructedModel
    _stack: AsyncExitStack
    _program: str = FAST_SERVE

    async def start(self, **settings: str) -> ServerProcess:
        """One more process; it ends with the fleet."""
        defaults = {
            "REDIS_URL": self.redis_url,
            "PRIVITY_KEYS": RING,
            "MODEL_BASE_URL": self.model.url,
            "MODEL_NAME": "instructed",
            "MODEL_SILENCE_SECONDS": "10",
            "PRIVITY_LIMITS": "off",
            "PRIVITY_V1": "open",
            # An older tree does not know that limits can be off.
            "PRIVITY_NEW_PER_HOUR": "1000000",
            "PRIVITY_STORED_BYTES_PER_HOUR": "1000000000000",
        }
        return await self._stack.enter_async_context(
            serving(self._program, **{**defaults, **settings})
        )


@asynccontextmanager
async def running_fleet(
    redis_url: str, model: InstructedModel, program: str = FAST_SERVE
) -> AsyncIterator[Fleet]:
    """A fleet without processes; each will run ``program``."""
    async with AsyncExitStack() as stack:
        yield Fleet(redis_url, model, stack, program)


def client_of(process: ServerProcess, same_user: NativeClient | None = None) -> NativeClient:
    """A client of this process, with the cookie of ``same_user`` if there is one."""
    client = NativeClient(process.url)
    client.cookie = same_user.cookie if same_user else None
    return client
