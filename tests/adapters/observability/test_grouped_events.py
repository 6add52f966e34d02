"""Events that callers can cause: the first of a group at once, then one line per minute."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from adapters.observability.grouped_events import GROUPED_FOR, GroupedEvents
from tests.support.builders import ID
from tests.support.clocks import ManualClock
from tests.support.fakes import Fields, RecordingTelemetry

FAILED = {"operation": "load", "reason": "NOPERM"}


class Grouped:
    """Grouped events, and what passes."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.passed = RecordingTelemetry()
        self.telemetry = GroupedEvents(self.passed, self.clock)

    @property
    def lines(self) -> list[tuple[str, Fields]]:
        return self.passed.emitted

    def fail(self, times: int = 1, **fields: str) -> None:
        for _ in range(times):
            self.telemetry.emit("store.unavailable", **FAILED | fields)

    async def pass_a_minute(self) -> None:
        self.clock.advance(GROUPED_FOR)
        for _ in range(5):
            await asyncio.sleep(0)


@asynccontextmanager
async def grouped() -> AsyncIterator[Grouped]:
    grouped = Grouped()
    async with grouped.telemetry.running():
        await asyncio.sleep(0)
        yield grouped


def counts(lines: list[tuple[str, Fields]]) -> list[object]:
    return [fields["count"] for _, fields in lines]


async def test_the_first_event_passes_at_once() -> None:
    async with grouped() as events:
        events.fail()

        assert events.lines == [("store.unavailable", {**FAILED, "count": 1})]


async def test_a_thousand_more_are_one_line_at_the_end_of_the_minute() -> None:
    async with grouped() as events:
        events.fail(1_001)
        first = counts(events.lines)
        await events.pass_a_minute()

        assert (first, counts(events.lines)) == ([1], [1, 1_000])


async def test_as_long_as_they_continue_there_is_one_line_per_minute() -> None:
    async with grouped() as events:
        for _ in range(3):
            events.fail(10)
            await events.pass_a_minute()

        assert counts(events.lines) == [1, 9, 10, 10]


async def test_after_a_minute_without_any_the_next_one_passes_at_once() -> None:
    async with grouped() as events:
        events.fail()
        await events.pass_a_minute()
        events.fail()

        assert counts(events.lines) == [1, 1]


async def test_each_combination_of_the_fields_is_a_group_of_its_own() -> None:
    async with grouped() as events:
        events.fail()
        events.fail(operation="commit")
        events.fail(reason="OOM")

        assert counts(events.lines) == [1, 1, 1]


async def test_other_fields_are_those_of_the_last_event() -> None:
    async with grouped() as events:
        for session_id in (ID, "second", "third"):
            events.telemetry.emit(
                "conversation.unreadable", reason="damaged", session_id=session_id
            )
        await events.pass_a_minute()

        assert [fields["session_id"] for _, fields in events.lines] == [ID, "third"]


async def test_what_was_counted_is_not_lost_when_the_service_stops() -> None:
    async with grouped() as events:
        events.fail(5)

    assert counts(events.lines) == [1, 4]


async def test_other_events_pass_unchanged() -> None:
    async with grouped() as events:
        for _ in range(3):
            events.telemetry.emit("turn.settled", session_id=ID, pieces=2)

        assert events.lines == [("turn.settled", {"session_id": ID, "pieces": 2})] * 3
