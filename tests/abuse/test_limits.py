"""One caller cannot use up what everybody else needs: docs/limits.md, over two processes."""

import asyncio
import json
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from itertools import cycle
from typing import Any, Final

import pytest

from tests.support.fleet import Fleet
from tests.support.http_client import JSON, Answer, Client, LiveAnswer
from tests.support.instructed_model import HANG, instruction
from tests.support.native_client import NativeClient, eventually, message_body
from tests.support.processes import ServerProcess
from tests.support.v1_client import error_of

MANY: Final = "1000000"
# Every limit is out of the way except the one that a test sets. An older tree knows two of them.
NO_OTHER_LIMIT: Final = {
    "PRIVITY_LIMITS": "on",
    "PRIVITY_MESSAGES_PER_MINUTE": MANY,
    "PRIVITY_MESSAGES_PER_MINUTE_PER_KEY": MANY,
    "PRIVITY_NEW_PER_HOUR": MANY,
    "PRIVITY_NEW_PER_HOUR_PER_KEY": MANY,
    "PRIVITY_STORED_BYTES_PER_HOUR": "1000000000",
    "PRIVITY_STORED_BYTES_PER_HOUR_PER_KEY": "1000000000",
    "PRIVITY_TOKENS_PER_HOUR_PER_KEY": "1000000000",
    "PRIVITY_TOKENS_PER_DAY": "1000000000",
    "PRIVITY_TOKENS_PER_DAY_IN_ALL": "1000000000",
    "PRIVITY_OPEN_TURNS": "100000",
    "PRIVITY_OPEN_TURNS_PER_KEY": "100000",
    "PRIVITY_PROXIES": "1",
}
SAY_HI: Final = instruction("hi", 1)
NEVER_END: Final = instruction("slow", 1, ending=HANG)


async def two_processes(fleet: Fleet, **settings: str) -> tuple[ServerProcess, ServerProcess]:
    options = {**NO_OTHER_LIMIT, **settings}
    first, second = await asyncio.gather(fleet.start(**options), fleet.start(**options))
    return first, second


async def a_key(process: ServerProcess) -> str:
    answer = await NativeClient(process.url).post("/api/client-key", {}, x_forwarded_for="10.9.9.9")
    return str(answer.document["clientKey"])


def a_caller(process: ServerProcess, key: str, address: str = "192.0.2.1") -> NativeClient:
    return NativeClient(process.url, authorization=f"Bearer {key}", x_forwarded_for=address)


async def send(
    processes: tuple[ServerProcess, ...], key: str, times: int, text: str = SAY_HI, **body: Any
) -> list[Answer]:
    """The answers to the same message, sent to one process after the other."""
    callers = cycle(a_caller(process, key) for process in processes)
    return [
        await caller.post("/api/chat", message_body(text, None, body), **JSON)
        for caller, _ in zip(callers, range(times), strict=False)
    ]


async def ask_v1(caller: Client, text: str = SAY_HI, **members: Any) -> Answer:
    return await caller.post("/v1/responses", {"input": text, "store": False, **members})


def refusals(answers: list[Answer]) -> list[Answer]:
    return [answer for answer in answers if answer.status != 200]


def assert_refused(answer: Answer, limit: str, *, hours: int = 1) -> None:
    """The refusal names the limit, and says when to come back."""
    assert (answer.status, answer.code) == (429, "too_many_requests")
    assert 1 <= int(answer.headers["retry-after"]) <= hours * 3_600
    assert answer.headers["ratelimit-policy"].startswith(f'"{limit}";q=')
    assert answer.headers["ratelimit"].startswith(f'"{limit}";r=')
    assert "set-cookie" not in answer.headers


async def test_a_client_key_sends_thirty_messages_a_minute_to_all_processes(fleet: Fleet) -> None:
    processes = await two_processes(fleet, PRIVITY_MESSAGES_PER_MINUTE_PER_KEY="5")
    key, other = await a_key(processes[0]), await a_key(processes[0])
    answers = await send(processes, key, 7)
    others = await send(processes, other, 2)

    # One more may become available while the test runs.
    assert len(refusals(answers)) in (1, 2)
    assert_refused(refusals(answers)[0], "messages-client-key")
    assert refusals(others) == []


async def test_an_address_is_limited_whatever_keys_it_uses(fleet: Fleet) -> None:
    processes = await two_processes(fleet, PRIVITY_MESSAGES_PER_MINUTE="5")
    keys = [await a_key(processes[0]) for _ in range(7)]
    answers = [(await send((processes[number % 2],), key, 1))[0] for number, key in enumerate(keys)]
    elsewhere = a_caller(processes[0], keys[0], "192.0.2.2")

    assert len(refusals(answers)) in (1, 2)
    assert_refused(refusals(answers)[0], "messages-address")
    assert (await elsewhere.send(SAY_HI)).status == 200


async def test_new_conversations_are_counted_for_all_processes_together(fleet: Fleet) -> None:
    processes = await two_processes(fleet, PRIVITY_NEW_PER_HOUR="4")
    answers = [
        await NativeClient(process.url, x_forwarded_for="192.0.2.1").post(path, {})
        for process in processes
        for path in ("/api/sessions", "/api/client-key", "/api/sessions")
    ]

    assert [answer.status for answer in answers] == [201, 201, 201, 201, 429, 429]
    assert_refused(answers[-1], "new-address")


async def test_a_first_message_and_its_key_count_once(fleet: Fleet) -> None:
    processes = await two_processes(fleet, PRIVITY_NEW_PER_HOUR="2")
    callers = [
        NativeClient(process.url, x_forwarded_for="192.0.2.1")
        for process in (*processes, *processes)
    ]
    answers = [await caller.post("/api/chat", message_body(SAY_HI), **JSON) for caller in callers]

    assert [answer.status for answer in answers] == [200, 200, 429, 429]


async def test_ipv6_addresses_count_by_their_first_64_bits(fleet: Fleet) -> None:
    processes = await two_processes(fleet, PRIVITY_NEW_PER_HOUR="2")
    statuses = [
        (
            await NativeClient(process.url, x_forwarded_for=f"2001:db8::{part}:{number}").post(
                "/api/sessions", {}
            )
        ).status
        for part in ("1", "2")
        for number, process in enumerate(processes)
    ]

    assert statuses == [201, 201, 429, 429]


TEXT: Final = "x" * 4_000
METADATA: Final = {str(number): "x" * 500 for number in range(8)}
ITEM: Final = {"role": "user", "content": TEXT}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/chat", {"message": SAY_HI, "context": TEXT}),
        ("/v1/conversations/{}/items", {"items": [ITEM]}),
        ("/v1/conversations/{}", {"metadata": METADATA}),
        ("/v1/conversations", {"metadata": METADATA}),
        ("/v1/conversations", {"items": [ITEM]}),
        ("/v1/responses", {"input": SAY_HI, "metadata": METADATA}),
    ],
    ids=["page context", "items", "new metadata", "metadata", "first items", "note"],
)
async def test_whatever_is_stored_is_counted(
    fleet: Fleet, path: str, body: dict[str, object]
) -> None:
    processes = await two_processes(fleet, PRIVITY_STORED_BYTES_PER_HOUR_PER_KEY="10000")
    key = await a_key(processes[0])
    callers = [a_caller(process, key) for process in processes]
    conversation = (await callers[0].post("/v1/conversations", {})).document["id"]
    statuses = [
        (await caller.post(path.format(conversation), body, **JSON)).status
        for caller in (*callers, *callers)
    ]

    assert statuses == [200, 200, 429, 429]


async def test_unstored_and_regenerated_replies_spend_tokens(fleet: Fleet) -> None:
    processes = await two_processes(fleet, PRIVITY_TOKENS_PER_HOUR_PER_KEY="1000")
    # A reply of 1,200 bytes whose model never reports how many tokens it used.
    unreported = instruction("unreported-" * 20, 5, ending="die")
    key, other = await a_key(processes[0]), await a_key(processes[0])
    unstored = [
        await ask_v1(a_caller(process, key), unreported)
        for process in (*processes, *processes, *processes)
    ]
    refused = next(answer for answer in unstored if answer.status == 429)
    first = (await send(processes, other, 1, unreported))[0]
    session_id = str((await send(processes, other, 1))[0].document["sessionId"])
    regenerated = [
        await a_caller(process, other).post(
            f"/api/chat/{session_id}/regenerate", {"message": unreported}, **JSON
        )
        for process in (*processes, *processes, *processes)
    ]

    assert first.status == 502
    assert error_of(refused)["code"] == "rate_limit_exceeded"
    assert error_of(refused)["type"] == "tokens"
    assert_refused(next(one for one in regenerated if one.status == 429), "tokens-client-key")


@pytest.mark.parametrize(
    ("setting", "amount", "limit"),
    [
        ("PRIVITY_TOKENS_PER_HOUR_PER_KEY", "100000", "tokens-client-key"),
        ("PRIVITY_STORED_BYTES_PER_HOUR_PER_KEY", "300000", "stored-bytes-client-key"),
    ],
)
async def test_the_largest_replies_cannot_exceed_a_limit_again_and_again(
    fleet: Fleet, setting: str, amount: str, limit: str
) -> None:
    processes = await two_processes(fleet, **{setting: amount})
    # Each reply is cut at 262,144 bytes, which is counted as 87,381 tokens.
    long = instruction("x" * 7_900, 40)
    answers = await send(processes, await a_key(processes[0]), 3, long)

    assert [answer.status for answer in answers] == [200, 200, 429]
    assert_refused(answers[2], limit)
    assert int(answers[2].headers["retry-after"]) > 1_000


async def test_the_daily_budget_is_spent_by_everybody_together(fleet: Fleet) -> None:
    processes = await two_processes(fleet, PRIVITY_TOKENS_PER_DAY_IN_ALL="1000")
    unreported = instruction("unreported-" * 20, 5, ending="die")
    answers = [
        await ask_v1(a_caller(process, await a_key(process), f"192.0.2.{number}"), unreported)
        for number, process in enumerate((*processes, *processes, *processes))
    ]
    [native] = await send(processes, await a_key(processes[0]), 1)

    assert answers[-1].status == native.status == 503
    assert error_of(answers[-1])["code"] == native.code == "budget_exhausted"
    assert 1 <= int(native.headers["retry-after"]) <= 86_400
    assert answers[-1].headers["x-should-retry"] == "false"


def opening(
    client: Client, path: str, body: object, **headers: str
) -> AbstractAsyncContextManager[LiveAnswer]:
    """The answer to a request, as soon as its head has arrived."""
    raw = json.dumps(body).encode()
    return client.open("POST", path, raw, **{"content_type": "application/json", **headers})


async def open_replies(
    stack: AsyncExitStack, clients: list[NativeClient], *, stored: bool
) -> list[LiveAnswer]:
    """Replies that never end, one for each client."""
    bodies = [
        ("/api/chat", message_body(NEVER_END))
        if stored
        else ("/v1/responses", {"input": NEVER_END, "store": False, "stream": True})
    ] * len(clients)
    return [
        await stack.enter_async_context(opening(client, path, body))
        for client, (path, body) in zip(clients, bodies, strict=True)
    ]


async def test_a_client_key_has_four_open_replies_stored_or_not(fleet: Fleet) -> None:
    processes = await two_processes(fleet, PRIVITY_OPEN_TURNS_PER_KEY="4")
    key, other = await a_key(processes[0]), await a_key(processes[0])
    callers = [a_caller(process, key) for process in processes]
    async with AsyncExitStack() as stack:
        stored = await open_replies(stack, callers, stored=True)
        unstored = await open_replies(stack, callers, stored=False)
        refused = [
            await callers[0].post("/api/chat", message_body(SAY_HI), **JSON),
            await ask_v1(callers[1]),
        ]
        others = await send(processes, other, 1)

    assert [live.status for live in (*stored, *unstored)] == [200] * 4
    assert_refused(refused[0], "open-turns-client-key")
    assert (refused[1].status, error_of(refused[1])["code"]) == (429, "rate_limit_exceeded")
    assert [answer.status for answer in others] == [200]


async def test_an_address_has_sixty_four_open_replies(fleet: Fleet) -> None:
    processes = await two_processes(fleet, PRIVITY_OPEN_TURNS="6")
    callers = [a_caller(processes[number % 2], await a_key(processes[0])) for number in range(7)]
    async with AsyncExitStack() as stack:
        await open_replies(stack, callers[:6], stored=True)
        refused = await callers[6].post("/api/chat", message_body(SAY_HI), **JSON)
        elsewhere = a_caller(processes[0], await a_key(processes[0]), "192.0.2.2")
        welcome = await elsewhere.post("/api/chat", message_body(SAY_HI), **JSON)

    assert_refused(refused, "open-turns-address")
    assert welcome.status == 200


async def test_an_ended_reply_frees_its_place_and_a_repeat_needs_none(fleet: Fleet) -> None:
    processes = await two_processes(fleet, PRIVITY_OPEN_TURNS_PER_KEY="2")
    key = await a_key(processes[0])
    callers = [a_caller(process, key) for process in processes]
    for caller in (*callers, *callers):
        assert (await caller.send(SAY_HI)).status == 200
    repeats = {"idempotency_key": "again"}
    async with AsyncExitStack() as stack:
        for caller in callers:
            body = message_body(NEVER_END)
            live = await stack.enter_async_context(opening(caller, "/api/chat", body, **repeats))
            assert live.status == 200
        other = await stack.enter_async_context(
            opening(callers[0], "/api/chat", message_body(NEVER_END))
        )
        assert other.status == 200
        refused = await callers[1].post("/api/chat", message_body(SAY_HI), **JSON)

    assert_refused(refused, "open-turns-client-key")


async def test_a_caller_who_leaves_ends_a_reply_that_is_not_stored(fleet: Fleet) -> None:
    # Without the caller, only the model's silence would end the reply, much later.
    patient = {"MODEL_SILENCE_SECONDS": "600", "PRIVITY_OPEN_TURNS_PER_KEY": "1"}
    processes = await two_processes(fleet, **patient)
    caller = a_caller(processes[0], await a_key(processes[0]))
    elsewhere = Client(processes[1].url, **caller.headers)
    asking = asyncio.create_task(ask_v1(caller, NEVER_END))

    async def is_asked() -> bool:
        await elsewhere.get("/health/live")
        return fleet.model.requests["slow"] == 1

    async def has_ended() -> bool:
        has_free_slot = (await ask_v1(elsewhere)).status == 200
        return has_free_slot and fleet.model.abandoned["slow"] == 1

    await eventually(is_asked)
    assert fleet.model.abandoned["slow"] == 0
    asking.cancel()

    await eventually(has_ended)
