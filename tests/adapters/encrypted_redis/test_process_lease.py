"""Which processes count as ended, over a server that a test controls."""

import asyncio
from datetime import timedelta

import pytest

from adapters.encrypted_redis.command_queue import Argument, OutcomeUnknown, Reply
from adapters.encrypted_redis.keys_and_scripts import lease_key
from adapters.encrypted_redis.process_lease import (
    RENEWALS_WHILE_MISSING,
    RENEWALS_WHILE_UNCHANGED,
    RedisProcessLease,
)
from domain.model.identifiers import ProcessId
from tests.support.builders import PROCESS
from tests.support.clocks import ManualClock

OTHER = ProcessId("fedcba9876543210")
A_SECOND = timedelta(seconds=1)


class Leases:
    """A lease over a server that stores in a dictionary, and may not answer."""

    def __init__(self) -> None:
        self.stored: dict[Argument, bytes] = {}
        self.answers = True
        self.commands: list[tuple[Argument, ...]] = []
        self.clock = ManualClock()
        self.lease = RedisProcessLease(PROCESS, self.clock)

    def call(self, *command: Argument) -> Reply:
        self.commands.append(command)
        reply: Reply = asyncio.get_running_loop().create_future()
        if not self.answers:
            reply.set_exception(OutcomeUnknown("no reply in time"))
        elif command[0] == "SET":
            self.stored[command[1]] = str(command[2]).encode()
            reply.set_result(b"OK")
        else:
            reply.set_result(self.stored.get(command[1]))
        return reply

    async def renew(self, times: int = 1, *, apart: timedelta = A_SECOND) -> None:
        for _ in range(times):
            self.clock.advance(apart)
            await self.lease.renew(self.call)

    def put(self, value: bytes, process: ProcessId = OTHER) -> None:
        self.stored[lease_key(process)] = value

    @property
    def other_has_ended(self) -> bool:
        return self.lease.has_ended(OTHER)


@pytest.fixture
def leases() -> Leases:
    found = Leases()
    assert not found.other_has_ended
    return found


async def test_a_lease_that_stays_missing_shows_that_its_process_has_ended(leases: Leases) -> None:
    await leases.renew(RENEWALS_WHILE_MISSING)
    before = leases.other_has_ended
    await leases.renew()

    assert (before, leases.other_has_ended) == (False, True)


async def test_a_lease_that_is_renewed_shows_that_its_process_runs(leases: Leases) -> None:
    for value in range(3 * RENEWALS_WHILE_UNCHANGED):
        leases.put(b"%d" % value)
        await leases.renew()

        assert not leases.other_has_ended


async def test_a_lease_that_is_no_longer_renewed_need_not_expire(leases: Leases) -> None:
    leases.put(b"7")
    await leases.renew(RENEWALS_WHILE_UNCHANGED)
    before = leases.other_has_ended
    await leases.renew()

    assert (before, leases.other_has_ended) == (False, True)


async def test_a_lost_lease_that_comes_back_starts_the_count_anew(leases: Leases) -> None:
    await leases.renew(RENEWALS_WHILE_MISSING)
    leases.put(b"8")
    await leases.renew()
    leases.stored.clear()
    await leases.renew(RENEWALS_WHILE_MISSING)

    assert not leases.other_has_ended


async def test_a_process_that_was_only_away_runs_again(leases: Leases) -> None:
    await leases.renew(RENEWALS_WHILE_MISSING + 1)
    ended = leases.other_has_ended
    leases.put(b"9")
    await leases.renew()

    assert (ended, leases.other_has_ended) == (True, False)


async def test_renewals_that_fail_do_not_count(leases: Leases) -> None:
    await leases.renew(RENEWALS_WHILE_MISSING)
    leases.answers = False
    for _ in range(3 * RENEWALS_WHILE_MISSING):
        with pytest.raises(OutcomeUnknown):
            await leases.renew()

    assert not leases.other_has_ended


async def test_renewals_of_several_connections_within_a_second_count_once(leases: Leases) -> None:
    await leases.renew(RENEWALS_WHILE_MISSING)
    await leases.renew(20, apart=timedelta(milliseconds=10))
    before = leases.other_has_ended
    await leases.renew()

    assert (before, leases.other_has_ended) == (False, True)


async def test_a_process_never_counts_itself_as_ended(leases: Leases) -> None:
    leases.lease.has_ended(PROCESS)
    leases.stored.clear()
    await leases.renew(3 * RENEWALS_WHILE_UNCHANGED)

    assert not leases.lease.has_ended(PROCESS)
    assert leases.stored[lease_key(PROCESS)]


async def test_a_process_that_nobody_asks_about_is_looked_at_for_ten_minutes(
    leases: Leases,
) -> None:
    await leases.renew(599)
    leases.commands.clear()
    await leases.renew()
    looked_at = [command[0] for command in leases.commands]
    leases.commands.clear()
    await leases.renew()

    assert looked_at == ["SET", "GET"]
    assert [command[0] for command in leases.commands] == ["SET"]


async def test_no_more_than_64_processes_are_looked_at(leases: Leases) -> None:
    for number in range(100):
        leases.lease.has_ended(ProcessId(f"{number:016x}"))
    await leases.renew()

    assert len(leases.commands) == 1 + 64
