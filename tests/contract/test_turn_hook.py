"""The promises of a hook: see ``ports.turn_hook``."""

import asyncio

import pytest
from attrs import evolve

from adapters.turn_hook.no_hook import NoHook
from domain.model.message import Role
from domain.model.preparation import (
    NOTHING_PREPARED,
    Preparation,
    Question,
    TurnKind,
    Utterance,
)
from domain.model.prompt import Passage, ReplyOptions, Tool
from tests.contract.adapters import HOOKS, OpenHook
from tests.support.builders import turn_id

QUESTION = Question(
    turn_id=turn_id(),
    conversation="0f" * 16,
    turn=3,
    kind=TurnKind.MESSAGE,
    locale="fi",
    message="Mitä tämä maksaa? <b>\n\u2028",
    images=1,
    page_context='{"page":"/prices"}',
    earlier=(Utterance(role=Role.USER, text="Hei"), Utterance(role=Role.ASSISTANT, text="Hei!")),
    summary="They greeted each other.",
    state='{"phase":"greeting"}',
)
EVERYTHING = Preparation(
    instructions="Name the price.",
    passages=(Passage(title="Prices", text="A cup is 3 €.", url="https://shop.example/prices"),),
    tools=(Tool(name="order", description="Orders a cup.", parameters='{"type":"object"}'),),
    offered=frozenset({"order", "search"}),
    options=ReplyOptions(temperature=0.5, stop=("END",), reply_tokens=100, effort="low"),
    changes_state=True,
    state='{"phase":"buying"}',
)


@pytest.fixture(params=sorted(HOOKS))
def open_hook(request: pytest.FixtureRequest) -> OpenHook:
    return HOOKS[request.param]


@pytest.mark.parametrize(
    "answer",
    [
        NOTHING_PREPARED,
        EVERYTHING,
        Preparation(reply="Hello!"),
        Preparation(changes_state=True, state=None),
        Preparation(offered=frozenset()),
    ],
)
async def test_what_the_hook_wants_arrives_unchanged(
    open_hook: OpenHook, answer: Preparation
) -> None:
    async with open_hook(answer) as hook:
        assert await hook.prepare(QUESTION) == answer


async def test_a_question_can_be_asked_again(open_hook: OpenHook) -> None:
    async with open_hook(EVERYTHING) as hook:
        assert [await hook.prepare(QUESTION) for _ in range(3)] == [EVERYTHING] * 3


async def test_several_questions_can_be_asked_at_once(open_hook: OpenHook) -> None:
    async with open_hook(EVERYTHING) as hook:
        questions = [evolve(QUESTION, turn_id=turn_id(number)) for number in range(1, 6)]
        answers = await asyncio.gather(*map(hook.prepare, questions))

    assert answers == [EVERYTHING] * 5


async def test_a_question_that_is_cancelled_does_not_wait_for_the_answer(
    open_hook: OpenHook,
) -> None:
    async with open_hook(None) as hook, asyncio.timeout(10):
        asking = asyncio.create_task(hook.prepare(QUESTION))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking


async def test_a_service_without_a_hook_prepares_nothing() -> None:
    assert await NoHook().prepare(QUESTION) == NOTHING_PREPARED
