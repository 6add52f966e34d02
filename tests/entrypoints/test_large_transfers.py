"""How much of large answers may wait for its readers, per address and in all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from entrypoints.http import large_transfers
from entrypoints.http.large_transfers import SLICE_BYTES, LargeTransfers

LARGE = 100_000


async def large(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with as many bytes as the path says."""
    body = b"0123456789" * (int(scope["path"]) // 10)
    await Response(body)(scope, receive, send)


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> LargeTransfers:
    monkeypatch.setattr(large_transfers, "ADDRESS_MAX_BYTES", 2 * LARGE)
    monkeypatch.setattr(large_transfers, "PROCESS_MAX_BYTES", 3 * LARGE)
    monkeypatch.setattr(large_transfers, "RESERVED_BYTES", LARGE)
    return LargeTransfers(
        large,
        address=lambda scope: str(scope["address"]),
        render=lambda problem, _: Response(problem.code, problem.status),
    )


async def answered(
    app: LargeTransfers, address: str, size: int = LARGE, method: str = "GET"
) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": str(size), "address": address}
    await app(scope, _nothing, send)
    return sent


@asynccontextmanager
async def unread(app: LargeTransfers, address: str, size: int = LARGE) -> AsyncIterator[None]:
    """An answer whose client takes its head, but nothing of its body."""
    started = asyncio.Event()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            started.set()
            await asyncio.Future[None]()

    scope = {"type": "http", "method": "GET", "path": str(size), "address": address}
    task = asyncio.create_task(app(scope, _nothing, send))
    await started.wait()
    yield
    task.cancel()
    await asyncio.wait([task])


async def _nothing() -> Message:
    return {"type": "http.request"}


def status(sent: list[Message]) -> int:
    return int(sent[0]["status"])


def body(sent: list[Message]) -> bytes:
    return b"".join(message["body"] for message in sent[1:])


@pytest.mark.parametrize(
    ("size", "slices"),
    [(0, 1), (10, 1), (65_530, 1), (65_540, 2), (131_070, 2), (131_080, 3), (655_360, 10)],
)
async def test_a_body_is_sent_whole_in_slices(app: LargeTransfers, size: int, slices: int) -> None:
    sent = await answered(app, "a", size)

    bodies = sent[1:]
    assert body(sent) == b"0123456789" * (size // 10)
    assert max(len(message["body"]) for message in bodies) <= SLICE_BYTES
    assert [message.get("more_body", False) for message in bodies[:-1]] == [True] * (slices - 1)
    assert not bodies[-1].get("more_body", False)


async def test_a_multiple_of_a_slice_ends_with_its_last_bytes(app: LargeTransfers) -> None:
    sent = await answered(app, "a", SLICE_BYTES * 10)

    assert all(message["body"] for message in sent[1:])


async def test_an_address_with_too_much_unread_is_refused_until_it_has_read(
    app: LargeTransfers,
) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(unread(app, "a"))
        refused = await answered(app, "a")
        small = await answered(app, "a", 10)
        other = await answered(app, "b")
    after = await answered(app, "a")

    assert (status(refused), body(refused)) == (429, b"transfers_unfinished")
    assert [status(sent) for sent in (small, other, after)] == [200, 200, 200]


async def test_the_answer_to_a_request_that_was_carried_out_is_never_refused(
    app: LargeTransfers,
) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(unread(app, "a"))

        assert status(await answered(app, "a", method="POST")) == 200
        assert status(await answered(app, "a")) == 429


async def test_too_much_for_all_addresses_is_refused_for_everyone(app: LargeTransfers) -> None:
    async with AsyncExitStack() as stack:
        for address in ("a", "b", "c", "d"):
            await stack.enter_async_context(unread(app, address))
        refused = await answered(app, "e")
    after = await answered(app, "e")

    assert (status(refused), body(refused)) == (503, b"too_many_transfers")
    assert status(after) == 200


async def test_a_few_addresses_do_not_lock_out_one_that_has_nothing_unfinished(
    app: LargeTransfers,
) -> None:
    async with AsyncExitStack() as stack:
        for address in ("a", "b", "c"):
            await stack.enter_async_context(unread(app, address))
        more = await answered(app, "a")
        newcomer = await answered(app, "d")

    assert (status(more), body(more)) == (503, b"too_many_transfers")
    assert status(newcomer) == 200


async def test_a_single_answer_may_have_any_size(app: LargeTransfers) -> None:
    async with unread(app, "a", 10 * LARGE):
        small = await answered(app, "a", 10)

    assert status(small) == 200


@pytest.mark.parametrize(
    ("one", "another", "counted"),
    [
        ("2001:db8::1", "2001:db8::2", 429),
        ("2001:db8::1", "2001:db8:0:1::1", 200),
        ("192.0.2.1", "192.0.2.2", 200),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", 200),
        ("unknown", "unknown", 429),
    ],
)
async def test_an_ipv6_address_counts_as_its_network(
    app: LargeTransfers, one: str, another: str, counted: int
) -> None:
    async with unread(app, one, 2 * LARGE):
        sent = await answered(app, another)

    assert status(sent) == counted
