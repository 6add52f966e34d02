"""What readiness promises: see ``ports.readiness``."""

from collections.abc import AsyncIterator

import pytest

from ports.readiness import Readiness
from tests.contract.adapters import READY


@pytest.fixture(params=sorted(READY))
async def readiness(request: pytest.FixtureRequest) -> AsyncIterator[Readiness]:
    async with READY[request.param]() as readiness:
        yield readiness


async def test_available_storage_is_ready(readiness: Readiness) -> None:
    await readiness.check()
    await readiness.check()
