"""Reading server-sent events in the terminal."""

from collections.abc import AsyncIterator

from entrypoints.cli.chat_client import DONE_EVENT, ServerEvent, events_of
from entrypoints.http.sse import DONE, HEARTBEAT, event, padded_event


async def lines_of(raw: bytes) -> AsyncIterator[bytes]:
    for line in raw.splitlines(keepends=True):
        yield line


async def read(raw: bytes) -> list[ServerEvent]:
    return [event async for event in events_of(lines_of(raw))]


async def test_what_our_server_writes_is_read() -> None:
    raw = event({"a": "ä\n"}, name="hello", cursor="t.0") + event({"b": 2}, cursor="t.1")

    assert await read(raw) == [
        ServerEvent(name="hello", document={"a": "ä\n"}),
        ServerEvent(name="", document={"b": 2}),
    ]


async def test_comments_are_passed_over_and_the_last_word_is_reported() -> None:
    raw = HEARTBEAT + event({"a": 1}) + HEARTBEAT + DONE

    assert await read(raw) == [ServerEvent(name="", document={"a": 1}), DONE_EVENT]


async def test_padding_is_just_another_member() -> None:
    [read_event] = await read(padded_event({"delta": "x"}))

    assert read_event.document["delta"] == "x"


async def test_a_name_is_for_one_event_only() -> None:
    names = [found.name for found in await read(event({}, name="a") + event({}) + event({}))]

    assert names == ["a", "", ""]


async def test_an_event_that_was_cut_off_is_none() -> None:
    assert await read(b"event: hello\n") == []
