"""Services and people for the end-to-end tests."""

from collections.abc import AsyncIterator

import pytest

from tests.e2e.chatting import Person
from tests.e2e.puppet import Parrot, Puppet
from tests.servers import Served, served


@pytest.fixture
def puppet() -> Puppet:
    return Puppet()


@pytest.fixture
async def service(puppet: Puppet) -> AsyncIterator[Served]:
    """A service whose model says what the test tells it."""
    async with served(model=puppet) as service:
        yield service


@pytest.fixture
def person(service: Served) -> Person:
    """Somebody who talks to the puppet."""
    return Person(service.url)


@pytest.fixture
async def visitor() -> AsyncIterator[Person]:
    """Somebody who talks to a parrot, which repeats all it was told."""
    async with served(model=Parrot()) as service:
        yield Person(service.url)
