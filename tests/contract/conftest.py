"""What the suites start from."""

from collections.abc import AsyncIterator, Callable

import pytest

from domain.model.turn import Turn
from ports.conversation_store import ConversationStateStore
from ports.turn_log import TurnLog
from ports.turn_runner import TurnRunner
from tests.contract.adapters import RUNNERS, STORES, Kept, PassTime
from tests.support.builders import OWNER, a_conversation, asked, turn_of

Runners = Callable[[int], TurnRunner]


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


@pytest.fixture(params=sorted(RUNNERS))
def runners(request: pytest.FixtureRequest) -> Runners:
    """Makes runners of so many turns."""
    return RUNNERS[request.param]


@pytest.fixture
def runner(runners: Runners) -> TurnRunner:
    return runners(3)


@pytest.fixture
async def turn(store: ConversationStateStore) -> Turn:
    """An open turn."""
    conversation = asked(a_conversation())
    await store.create(OWNER, conversation)
    return turn_of(conversation)
