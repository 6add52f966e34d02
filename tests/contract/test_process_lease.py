"""The promises of every process lease: see ``ports.process_lease``."""

from collections.abc import AsyncIterator

import pytest

from domain.model.identifiers import ProcessId
from tests.contract.adapters import LEASES, Leased
from tests.support.builders import PROCESS

OTHER = ProcessId("fedcba9876543210")
MANY = 20


@pytest.fixture(params=sorted(LEASES))
async def leased(request: pytest.FixtureRequest) -> AsyncIterator[Leased]:
    async with LEASES[request.param]() as leased:
        yield leased


async def test_a_process_knows_its_own_id(leased: Leased) -> None:
    assert leased.lease.process == PROCESS


async def test_a_process_has_not_ended_as_long_as_it_can_ask(leased: Leased) -> None:
    leased.lease.has_ended(PROCESS)
    await leased.renew(MANY)

    assert not leased.lease.has_ended(PROCESS)


async def test_the_first_call_never_says_that_a_process_has_ended(leased: Leased) -> None:
    await leased.renew(MANY)

    assert not leased.lease.has_ended(OTHER)
