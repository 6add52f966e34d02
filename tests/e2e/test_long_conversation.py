"""Conversations of up to 500 turns, of which the model's window holds only a fraction.

The model's server counts every prompt with a real tokenizer, and refuses what does not fit.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Final

import pytest
from attrs import evolve, frozen

from entrypoints.settings import Settings
from tests.support.counting_model import FORGOTTEN, LOOK, CountingModel, Served
from tests.support.long_run import FACTS, REPLY_TOKENS, WINDOW, fact, talking
from tests.support.redis_servers import RedisProcess
from tests.support.redis_store import RING
from tests.support.service import UNLIMITED
from tests.support.summaries import background_ended
from tests.support.v1_client import V1Client

TURNS: Final = {"memory": 150, "redis": 500}
SMALL: Final = evolve(UNLIMITED, model_context_tokens=WINDOW, model_reply_tokens=REPLY_TOKENS)
ALL_FACTS: Final = [fact(number) for number in range(1, FACTS + 1)]
TOOL: Final = {"type": "function", "name": "look", "parameters": {"type": "object"}}

pytestmark = pytest.mark.xdist_group("long-conversation")


@frozen(kw_only=True)
class Run:
    """What is left of a long conversation.

    Attributes:
        answers: to the questions for the facts of the first turns.
        export: with the working memory that the last prompt had.
    """

    turns: int
    model: CountingModel
    transcript: Sequence[tuple[str, str]]
    history: Sequence[tuple[str, str]]
    answers: Sequence[str]
    export: dict[str, Any]


@pytest.fixture(scope="module", params=TURNS)
def run(request: pytest.FixtureRequest, shared_server: RedisProcess) -> Run:
    """The run from which all tests with this fixture read: each store runs it once."""
    in_redis = evolve(SMALL, redis_url=shared_server.url, keys=RING)
    settings = in_redis if request.param == "redis" else SMALL
    return asyncio.run(_run(settings, TURNS[request.param]))


async def _run(settings: Settings, turns: int) -> Run:
    async with talking(settings) as talk:
        await talk.take_turns(1, turns)
        return Run(
            turns=turns,
            model=talk.model,
            answers=await talk.ask_for_facts(),
            export=await talk.export_of_a_prompt(),
            history=await talk.history(),
            transcript=talk.transcript,
        )


def said_last(served: Served) -> str:
    return served.dialogue[-1][1]


def test_no_prompt_exceeds_the_window(run: Run) -> None:
    assert run.model.refused == []
    assert all(served.prompt_tokens + served.reply_tokens <= WINDOW for served in run.model.served)


def test_every_prompt_is_one_that_all_servers_take(run: Run) -> None:
    assert run.model.malformed == []


def test_most_of_the_conversation_is_forgotten(run: Run) -> None:
    assert run.export["workingMemoryFrom"] > len(run.transcript) * 3 // 4
    assert len(run.model.summaries) > run.turns // 20


def test_facts_of_the_first_turns_are_answered_from_the_summary(run: Run) -> None:
    asking = [served for served in run.model.replies if "What was fact" in said_last(served)]

    assert run.answers == ALL_FACTS
    for text, served in zip(ALL_FACTS, asking, strict=True):
        assert text in served.summary
        assert text not in str(served.dialogue)


def test_the_history_has_every_message(run: Run) -> None:
    assert run.history == run.transcript


def test_the_export_says_what_the_model_sees(run: Run) -> None:
    last = run.model.replies[-1]
    messages = [m for m in run.export["messages"] if m["number"] >= run.export["workingMemoryFrom"]]
    visible = [(m["role"], "".join(part["text"] for part in m["parts"])) for m in messages]

    # All but the reply to this prompt.
    assert list(last.dialogue) == visible[:-1]
    assert json.dumps(run.export["summary"], ensure_ascii=False) in last.summary


def test_most_of_each_prompt_was_read_before(run: Run) -> None:
    replies = run.model.replies
    cached = sum(served.cached_tokens for served in replies)
    from_scratch = [served for served in replies if served.cached_tokens * 2 < served.prompt_tokens]

    assert cached / sum(served.prompt_tokens for served in replies) > 0.7
    assert len(from_scratch) * 5 < len(replies)


def test_a_page_context_is_in_a_prompt_only_with_its_own_turn(run: Run) -> None:
    with_page = [served for served in run.model.replies if "<page>" in str(served.messages)]

    assert len(with_page) > run.turns // 15
    for served in with_page:
        *before, (role, text) = served.dialogue
        assert role == "user"
        assert text.count("<page>") == 1
        assert "<page>" not in str(before) + served.system


def test_a_page_context_is_exported_with_its_message(run: Run) -> None:
    pages = {
        m["pageContext"]["page"] for m in run.export["messages"] if m.get("pageContext") is not None
    }

    assert "Page 18" in pages
    assert "Page 18" not in "".join(text for role, text in run.history if role == "user")


async def test_the_window_that_the_server_states_is_used() -> None:
    settings = evolve(SMALL, model_context_tokens=None)
    async with talking(settings, states_window=True) as talk:
        await talk.take_turns(1, 60)

        assert talk.model.refused == []
        assert (await talk.export())["workingMemoryFrom"] > 1
        assert max(served.prompt_tokens for served in talk.model.served) > WINDOW // 2


async def test_a_window_that_is_smaller_than_the_setting_is_learned() -> None:
    async with talking(SMALL, server_window=WINDOW // 2) as talk:
        await talk.take_turns(1, 60)

        assert 1 <= len(talk.model.refused) <= 4
        assert await talk.history() == talk.transcript
        assert fact(1) in (await talk.export())["summary"]


async def test_an_edited_message_leaves_the_summary() -> None:
    async with talking(SMALL) as talk:
        await talk.take_turns(1, 40)
        # A summary that is still being written would have the fact in its prompt.
        await background_ended(talk.runner)
        assert fact(3) in (await talk.export())["summary"]
        before = len(talk.model.served)
        await talk.regenerate(back=len(talk.transcript) // 2 - 2, message="Fact 3: it has no name.")
        await talk.take_turns(11, 40)
        answers = await talk.ask_for_facts()

        assert answers[:4] == [fact(1), fact(2), "Fact 3: it has no name.", FORGOTTEN]
        assert "Fact 3: the cat" not in str([s.messages for s in talk.model.served[before:]])


async def test_calls_of_tools_are_forgotten_together_with_their_results() -> None:
    async with talking(SMALL) as talk:
        program = await V1Client.new(talk.client.url)
        options = {"conversation": await program.conversation(), "tools": [TOOL]}
        for number in range(60):
            answer = await program.ask(f"{LOOK} {number} " + "word " * 30, **options)
            calls = [item for item in answer.document["output"] if item["type"] == "function_call"]
            assert len(calls) == 2
            results = [
                {
                    "type": "function_call_output",
                    "call_id": call["call_id"],
                    "output": "rain " * 20,
                }
                for call in calls
            ]
            assert (await program.ask(results, **options)).status == 200

        assert (talk.model.refused, talk.model.malformed) == ([], [])
        assert len(talk.model.summaries) > 1
