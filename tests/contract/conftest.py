"""Fixtures of the contract suites."""

from collections.abc import AsyncIterator, Callable

import pytest

from domain.model.turn import Turn
from ports.conversation_store import ConversationStateStore
from ports.turn_log import TurnLog
from ports.turn_runner import TurnRunner
from tests.contract.adapters import RUNNERS, STORES, PassTime, StoreHarness
from tests.support.builders import OWNER, a_conversation, turn_of, with_question

Runners = Callable[[int], TurnRunner]


@pytest.fixture(params=sorted(STORES))
async def harness(request: pytest.FixtureRequest) -> AsyncIterator[StoreHarness]:
    async with STORES[request.param]() as harness:
        yield harness


@pytest.fixture
def store(harness: StoreHarness) -> ConversationStateStore:
    return harness.store


@pytest.fixture
def log(harness: StoreHarness) -> TurnLog:
    return harness.log


@pytest.fixture
def pass_time(harness: StoreHarness) -> PassTime:
    return harness.pass_time


@pytest.fixture(params=sorted(RUNNERS))
def runners(request: pytest.FixtureRequest) -> Runners:
    """Creates a runner that runs at most this many turns at once."""
    return RUNNERS[request.param]


@pytest.fixture
def runner(runners: Runners) -> TurnRunner:
    return runners(3)


@pytest.fixture
async def turn(store: ConversationStateStore) -> Turn:
    """An open turn."""
    conversation = with_question(a_conversation())
    await store.create(OWNER, conversation)
    return turn_of(conversation)
