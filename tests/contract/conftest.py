"""What the suites start from."""

from collections.abc import AsyncIterator

import pytest

from ports.conversation_store import ConversationStateStore
from ports.turn_log import TurnLog
from tests.contract.adapters import STORES, Kept, PassTime


@pytest.fixture(params=sorted(STORES))
async def kept(request: pytest.FixtureRequest) -> AsyncIterator[Kept]:
    async with STORES[request.param]() as kept:
        yield kept


@pytest.fixture
def store(kept: Kept) -> ConversationStateStore:
    return kept.store


@pytest.fixture
def log(kept: Kept) -> TurnLog:
    return kept.log


@pytest.fixture
def pass_time(kept: Kept) -> PassTime:
    return kept.pass_time
