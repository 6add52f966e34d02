"""The hourly quotas of one address."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from entrypoints.settings import Settings
from tests.support.fake_model import EchoModel
from tests.support.http_client import Answer
from tests.support.native_client import NativeClient
from tests.support.service import running_service

Limited = Callable[..., AbstractAsyncContextManager[NativeClient]]


@pytest.fixture
def limited() -> Limited:
    """A client of a service with these settings."""

    @asynccontextmanager
    async def opened(**settings: Any) -> AsyncIterator[NativeClient]:
        async with running_service(Settings(**settings), model=EchoModel()) as service:
            yield NativeClient(service.url)

    return opened


def is_refused(answer: Answer) -> bool:
    if answer.status != 429:
        return False
    assert answer.code == "too_many_requests"
    assert 1 <= int(answer.headers["retry-after"]) <= 3_600
    assert "set-cookie" not in answer.headers
    return True


async def test_new_conversations_and_client_keys_share_one_quota(limited: Limited) -> None:
    async with limited(new_per_hour=3) as client:
        session_id = (await client.send("One")).session_id
        created = [await client.post("/api/sessions", {}), await client.post("/api/client-key", {})]
        refused = [
            await NativeClient(client.url).send("Four"),
            await client.post("/api/sessions", {}),
            await client.post("/api/client-key", {}),
        ]
        going_on = await client.send("Two", session_id)

    assert [answer.status for answer in created] == [201, 201]
    assert all(is_refused(answer) for answer in refused)
    assert going_on.session_id == session_id


async def test_a_conversation_over_the_quota_is_not_created(limited: Limited) -> None:
    async with limited(new_per_hour=1) as client:
        session_id = (await client.send("One")).session_id
        before = (await client.history(session_id)).body
        await client.send("Two")
        after = (await client.history(session_id)).body

    assert after == before


async def test_what_is_stored_is_counted_in_bytes(limited: Limited) -> None:
    async with limited(stored_bytes_per_hour=100) as client:
        session_id = (await client.send("x" * 40)).session_id
        before = (await client.history(session_id)).body
        refused = await client.send("\U0001f600" * 16, session_id)
        after = (await client.history(session_id)).body

    assert is_refused(refused)
    assert after == before


async def test_page_context_counts_as_stored(limited: Limited) -> None:
    async with limited(stored_bytes_per_hour=100) as client:
        await client.send("Hi")
        answer = await client.send("Hi", context="x" * 100)

    assert is_refused(answer)


async def test_metadata_counts_as_stored(limited: Limited) -> None:
    largest = {"metadata": {"a": "x" * 512}}
    async with limited(stored_bytes_per_hour=1_000) as client:
        session_id = (await client.post("/api/sessions", {})).document["sessionId"]
        where = f"/api/chat/{session_id}"
        answers = [
            await client.patch(where, {"metadata": {"a": "1"}}),
            await client.post("/api/sessions", largest),
            await client.patch(where, largest),
            await client.patch(where, {"locale": "fi"}),
            await client.patch(where, {"locale": "en"}),
            await client.patch(where, {"locale": "fi"}),
        ]
        metadata = (await client.history(session_id)).document["metadata"]

    # A change costs 256 bytes and its text.
    assert [is_refused(answer) for answer in answers] == [False, True, True, False, False, True]
    assert metadata == {"a": "1"}


async def test_a_rejected_message_uses_no_quota(limited: Limited) -> None:
    async with limited(stored_bytes_per_hour=100) as client:
        await client.send("Hi")
        refused = [await client.send("x" * 101) for _ in range(3)]
        answer = await client.send("x" * 40)

    assert all(is_refused(one) for one in refused)
    assert answer.status == 200


async def statuses(client: NativeClient, *forwarded: str) -> list[int]:
    return [
        (await client.post("/api/sessions", {}, x_forwarded_for=chain)).status
        for chain in forwarded
    ]


async def test_without_proxies_x_forwarded_for_is_ignored(limited: Limited) -> None:
    async with limited(new_per_hour=1) as client:
        seen = await statuses(client, "192.0.2.1", "192.0.2.2")

    assert seen == [201, 429]


async def test_behind_a_proxy_the_address_is_what_the_proxy_saw(limited: Limited) -> None:
    async with limited(new_per_hour=1, proxies=1) as client:
        seen = await statuses(
            client,
            "192.0.2.1",
            "192.0.2.2",
            "192.0.2.9, 192.0.2.1",
            "192.0.2.1, 192.0.2.3",
        )

    assert seen == [201, 201, 429, 201]


async def test_a_proxy_may_add_a_second_header(limited: Limited) -> None:
    async with limited(new_per_hour=1, proxies=1) as client:
        seen = await statuses(
            client,
            "192.0.2.8\r\nX-Forwarded-For: 192.0.2.1",
            "192.0.2.9\r\nX-Forwarded-For: 192.0.2.1",
        )

    assert seen == [201, 429]


async def test_behind_two_proxies_the_second_to_last_address_counts(limited: Limited) -> None:
    async with limited(new_per_hour=1, proxies=2) as client:
        seen = await statuses(
            client, "192.0.2.1, 10.0.0.1", "192.0.2.1, 10.0.0.2", "6.6.6.6, 192.0.2.2, 10.0.0.1"
        )

    assert seen == [201, 429, 201]


async def test_a_malformed_address_counts_as_the_peer(limited: Limited) -> None:
    async with limited(new_per_hour=1, proxies=1) as client:
        seen = await statuses(client, "unknown", "", "a" * 10_000, "\xff")

    assert seen == [201, 429, 429, 429]


async def test_addresses_of_one_ipv6_network_count_as_one(limited: Limited) -> None:
    async with limited(new_per_hour=1, proxies=1) as client:
        seen = await statuses(client, "2001:db8::1", "2001:db8::2", "[2001:db8:0:1::1]")

    assert seen == [201, 429, 201]
