"""The hook in examples/rag_hook: Privity's requests are verified, and its answers understood."""

from collections.abc import AsyncIterator

import pytest

from adapters.system.clock import SystemClock
from adapters.turn_hook.http_hook import HttpHook
from domain.model.preparation import Preparation
from ports.turn_hook import HookUnavailable
from tests.support.example_hook import example_hook
from tests.support.hook_server import KEY, a_question, hook_at

URL = "https://www.example.org/election/"


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with example_hook() as address:
        yield address


@pytest.fixture
async def hook(url: str) -> AsyncIterator[HttpHook]:
    async with hook_at(url, clock=SystemClock()) as hook:
        yield hook


async def test_a_question_gets_passages_with_the_best_first(hook: HttpHook) -> None:
    answer = await hook.prepare(a_question(message="Can I vote by post?"))

    assert answer.passages[0].title == "Voting by post"
    assert answer.passages[0].url == f"{URL}voting"
    assert "passages only" in (answer.instructions or "")
    assert (answer.reply, answer.state) == (None, '{"phase":"questions"}')


async def test_a_greeting_gets_a_finished_reply(hook: HttpHook) -> None:
    answer = await hook.prepare(a_question(message="Hello!"))

    assert answer == Preparation(reply=answer.reply)
    assert (answer.reply or "").startswith("Hello! Ask me")


async def test_the_phase_is_kept_until_it_is_changed(hook: HttpHook) -> None:
    first = await hook.prepare(a_question(message="Compare"))
    second = await hook.prepare(a_question(message="What about the lake?", state=first.state))
    third = await hook.prepare(a_question(message="Back", state=second.state))

    assert [one.state for one in (first, second)] == ['{"phase":"comparing"}'] * 2
    assert third.state == '{"phase":"questions"}'
    assert all(passage.title.startswith("Candidate") for passage in second.passages)


@pytest.mark.parametrize("words", ['"', "AND OR (NEAR*", "", "?!", "a'b\"c", "選挙"])
async def test_no_message_breaks_the_search(hook: HttpHook, words: str) -> None:
    assert (await hook.prepare(a_question(message=words))).reply is None


async def test_another_secret_is_refused(url: str) -> None:
    async with hook_at(url, clock=SystemClock(), keys=(b"x" * 24,)) as stranger:
        with pytest.raises(HookUnavailable) as failure:
            await stranger.prepare(a_question())

    assert failure.value.details.status == 401


async def test_one_of_two_signatures_is_enough_during_a_rotation(url: str) -> None:
    async with hook_at(url, clock=SystemClock(), keys=(b"x" * 24, KEY)) as hook:
        assert (await hook.prepare(a_question(message="Hi"))).reply is not None
