"""Requests that each hold the whole history, and name the chain that they belong to."""

import asyncio
from datetime import timedelta

import pytest

from domain.model.errors import RequestAlreadyAnswered
from domain.model.identifiers import ConversationRef, SessionId
from domain.model.message import Role, TextPart, ToolCallPart, ToolResultPart
from domain.model.piece import ToolCallPiece
from domain.model.rate_limits import Quota
from domain.model.turn import IdempotencyKey
from entrypoints.usecases.create_response import CreateResponse, InputItem, ResponseRequest
from entrypoints.usecases.open_turn import Started
from ports.errors import TooManyRequests
from ports.language_model import ModelUnavailable
from tests.support.builders import OWNER, STRANGER, a_limit, texts_of
from tests.support.fake_model import FakeModel, InstantModel
from tests.support.harness import PAYER, Harness, a_harness

AT_ONCE = timedelta()
HISTORY = ("One", "Hi!", "Two", "Hi!", "Three")


def items_of(*texts: str) -> tuple[InputItem, ...]:
    """Messages of the user and the assistant in turn."""
    roles = (Role.USER, Role.ASSISTANT)
    return tuple(
        InputItem(role=roles[index % 2], parts=(TextPart(text),))
        for index, text in enumerate(texts)
    )


def key_of(name: str | None) -> IdempotencyKey | None:
    return None if name is None else IdempotencyKey(digest=name.encode(), body_digest=b"")


async def start(
    harness: Harness, *items: InputItem, chain: str = "mine", key: str | None = None
) -> Started:
    idempotency = key_of(key)
    request = ResponseRequest(
        inputs=items, payer=PAYER, chain=chain, idempotency_key=key, idempotency=idempotency
    )
    return await harness.container.resolve(CreateResponse)(OWNER, request)


async def respond(
    harness: Harness, *texts: str, chain: str = "mine", key: str | None = None
) -> Started:
    started = await start(harness, *items_of(*texts), chain=chain, key=key)
    await harness.end_of(started)
    return started


async def sessions(harness: Harness, *lengths: int, chain: str = "mine") -> list[SessionId]:
    """The conversations of requests with the first so many texts of ``HISTORY``."""
    started = [await respond(harness, *HISTORY[:length], chain=chain) for length in lengths]
    return [one.conversation.id for one in started]


async def test_a_chain_is_one_conversation() -> None:
    harness = a_harness()
    ids = await sessions(harness, 1, 3, 5)

    stored = await harness.stored(ids[0])
    assert len(set(ids)) == 1
    assert texts_of(stored) == [*HISTORY, "Hi!"]
    assert [message.turn for message in stored.messages] == [1, 1, 2, 2, 3, 3]


async def test_the_model_sees_exactly_the_history_that_was_sent() -> None:
    model = InstantModel("Hi!")
    await sessions(a_harness(model), 1, 3)

    assert [message.text for message in model.prompts[-1].messages] == ["One", "Hi!", "Two"]


async def test_a_chain_may_begin_with_a_whole_history() -> None:
    ids = await sessions(a_harness(), 3, 5)

    assert len(set(ids)) == 1


async def test_other_names_owners_and_beginnings_are_other_conversations() -> None:
    harness = a_harness()
    [mine] = await sessions(harness, 1)
    [other] = await sessions(harness, 1, chain="other")
    elsewhere = await respond(harness, "Eins")
    request = ResponseRequest(inputs=items_of("One"), payer=PAYER, chain="mine")
    strangers = await harness.container.resolve(CreateResponse)(STRANGER, request)

    ids = {mine, other, elsewhere.conversation.id, strangers.conversation.id}
    assert len(ids) == 4


async def test_parallel_chains_with_one_name_never_mix() -> None:
    harness = a_harness()
    first = await respond(harness, "One")
    second = await respond(harness, "One")
    edited = await respond(harness, "One", "Hello, edited by the client.", "Two")
    third = await respond(harness, "One", "Hi!", "Two")

    assert third.conversation.id == first.conversation.id
    assert len({one.conversation.id for one in (first, second, edited)}) == 3
    assert texts_of(await harness.stored(edited.conversation.id)) == [
        "One",
        "Hello, edited by the client.",
        "Two",
        "Hi!",
    ]


async def test_too_many_chains_with_one_beginning_are_kept_like_unnamed_ones() -> None:
    harness = a_harness()
    started = [await respond(harness, "One") for _ in range(6)]

    assert len({one.conversation.id for one in started}) == 6


@pytest.mark.parametrize("count", [2, 8])
async def test_first_requests_at_once_all_get_a_reply(count: int) -> None:
    harness = a_harness()
    started = await asyncio.gather(*(respond(harness, "One") for _ in range(count)))

    assert len({one.conversation.id for one in started}) == count


async def test_a_request_never_waits_for_a_reply_that_is_being_written() -> None:
    model = FakeModel()
    harness = a_harness(model)
    first = await start(harness, *items_of("One"))
    await model.next_reply()
    second = await start(harness, *items_of("One"))

    assert second.conversation.id != first.conversation.id
    await harness.runner.drain(AT_ONCE, AT_ONCE)


async def test_a_request_that_failed_is_answered_in_its_conversation() -> None:
    model = FakeModel()
    harness = a_harness(model)
    first = await start(harness, *items_of("One"))
    (await model.next_reply()).fail(ModelUnavailable())
    await harness.end_of(first)
    again = await start(harness, *items_of("One"))
    model_reply = await model.next_reply()
    model_reply.send_text("Hi!")
    model_reply.finish()
    await harness.end_of(again)

    assert again.conversation.id == first.conversation.id
    assert texts_of(await harness.stored(again.conversation.id)) == ["One", "Hi!"]


async def test_tool_results_that_failed_are_answered_in_their_conversation() -> None:
    model = FakeModel()
    harness = a_harness(model)
    call = ToolCallPart(call_id="a", name="look", arguments="{}")
    items = [
        *items_of("Look!"),
        InputItem(role=Role.ASSISTANT, parts=(call,)),
        InputItem(role=Role.ASSISTANT, parts=(ToolResultPart(call_id="a", output='"rain"'),)),
    ]
    started = [await start(harness, items[0])]
    model_reply = await model.next_reply()
    model_reply.send(ToolCallPiece(call_id="a", name="look", arguments="{}"))
    model_reply.finish()
    await harness.end_of(started[0])
    for fails in (True, False):
        started.append(await start(harness, *items))
        model_reply = await model.next_reply()
        model_reply.fail(ModelUnavailable()) if fails else model_reply.finish()
        await harness.end_of(started[-1])

    assert len({one.conversation.id for one in started}) == 1


async def test_a_repeat_with_its_key_joins_its_turn() -> None:
    harness = a_harness()
    first = await respond(harness, "One", key="first")
    second = await respond(harness, *HISTORY[:3], key="second")
    again = await respond(harness, *HISTORY[:3], key="second")

    assert second.conversation.id == first.conversation.id
    assert again.turn.id == second.turn.id
    with pytest.raises(RequestAlreadyAnswered):
        await respond(harness, "One", key="first")


async def test_a_forgotten_chain_begins_again() -> None:
    harness = a_harness()
    [first] = await sessions(harness, 1)
    await harness.forget(ConversationRef(OWNER, first))
    again = await respond(harness, *HISTORY[:3])

    assert texts_of(await harness.stored(again.conversation.id)) == ["One", "Hi!", "Two", "Hi!"]


async def test_a_chain_that_is_forgotten_meanwhile_begins_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    harness = a_harness()
    await sessions(harness, 1)
    load = harness.store.load

    async def load_and_forget(ref: ConversationRef, last: int | None = None) -> object:
        loaded = await load(ref, last)
        await harness.store.forget(ref)
        return loaded

    with monkeypatch.context() as patched:
        patched.setattr(harness.store, "load", load_and_forget)
        again = await start(harness, *items_of(*HISTORY[:3]))

    assert texts_of(again.conversation) == ["One", "Hi!", "Two"]
    assert again.turn.number == 1


async def test_an_earlier_response_of_a_chain_can_be_continued() -> None:
    harness = a_harness()
    ids = await sessions(harness, 1, 3)
    request = ResponseRequest(inputs=items_of("Zwei"), payer=PAYER, session_id=ids[0], after_turn=1)
    branch = await harness.container.resolve(CreateResponse)(OWNER, request)

    assert texts_of(branch.conversation) == ["One", "Hi!", "Zwei"]
    assert texts_of(await harness.stored(ids[0])) == ["One", "Hi!", "Two", "Hi!"]


async def test_only_what_is_new_is_counted() -> None:
    harness = a_harness(limits=[a_limit(Quota.NEW, 1)])
    await sessions(harness, 1, 3, 5)

    with pytest.raises(TooManyRequests):
        await respond(harness, "Another")
