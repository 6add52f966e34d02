"""The model that counts tokens answers from its prompt, within its window."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.counting_model import FORGOTTEN, LOOK, PAGE_QUESTION, CountingModel, tokens_of

FACT = "Fact 3: the cat is called Miro."
SYSTEM = {"role": "system", "content": "Help."}


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def a_model(window: int = 1_000, **members: Any) -> CountingModel:
    return CountingModel(system_prompt="Help.", window=window, **members)


def answer_to(model: CountingModel, *messages: Mapping[str, Any], reply_tokens: int = 100) -> str:
    response = model({"messages": messages, "max_tokens": reply_tokens})
    assert response.status == 200
    return model.served[-1].answer


def test_texts_are_counted_as_openai_does() -> None:
    assert len(tokens_of("Hello, world! Hyvää huomenta.")) == 11


@pytest.mark.parametrize(
    ("before", "answer"), [((user(FACT), assistant("Yes")), FACT), ((), FORGOTTEN)]
)
def test_it_knows_the_facts_in_its_prompt(before: tuple[dict[str, str], ...], answer: str) -> None:
    assert answer_to(a_model(), SYSTEM, *before, user("What was fact 3?")) == answer


def test_it_knows_the_page_in_its_prompt() -> None:
    page = '{"page": "Start"}'

    assert answer_to(a_model(), SYSTEM, user(f"<page>{page}</page> {PAGE_QUESTION}")) == page
    assert answer_to(a_model(), SYSTEM, user(PAGE_QUESTION)) == FORGOTTEN


def test_it_summarises_to_the_facts() -> None:
    model = a_model()
    task = {"role": "system", "content": "Summarise."}
    data = json.dumps(["Fact 11: it rains.\nWell", FACT])

    assert answer_to(model, task, user(data)) == f"{FACT}\nFact 11: it rains."
    assert (len(model.summaries), model.replies) == (1, [])


def test_it_refuses_a_prompt_that_does_not_fit_with_its_reply() -> None:
    model = a_model(window=100)
    answer_to(model, SYSTEM, user("Hi"), reply_tokens=1)
    room = 100 - model.served[0].prompt_tokens
    answer_to(model, SYSTEM, user("Hi"), reply_tokens=room)
    refused = model({"messages": [SYSTEM, user("Hi")], "max_tokens": room + 1})

    assert refused.status == 400
    assert model.refused == [101]


def test_it_cuts_a_reply_at_its_maximum_length() -> None:
    assert answer_to(a_model(), SYSTEM, user("Hi"), reply_tokens=3) == "Reply 1"


def test_it_reads_the_same_beginning_once() -> None:
    model = a_model(block=4)
    beginning = (SYSTEM, user("word " * 50))
    answer_to(model, *beginning)
    answer_to(model, *beginning, assistant("Yes"), user("More"))
    answer_to(model, {"role": "system", "content": "Help. Please."}, *beginning[1:])

    first, second, third = [served.cached_tokens for served in model.served]
    assert (first, third) == (0, 4)
    assert model.served[0].prompt_tokens - 8 < second <= model.served[0].prompt_tokens


def test_it_calls_tools_if_it_is_asked_to() -> None:
    model = a_model()
    tools = [{"type": "function", "function": {"name": "look"}}]
    response = model({"messages": [SYSTEM, user(LOOK)], "max_tokens": 100, "tools": tools})

    assert b"tool_calls" in b"".join(chunk or b"" for chunk in response.chunks)


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ([SYSTEM, assistant("Hi"), user("Hi")], "the dialogue does not begin with a user message"),
        ([SYSTEM, user("Hi"), SYSTEM], "a system message that is not the first"),
        (
            [SYSTEM, user("Hi"), {"role": "tool", "tool_call_id": "a", "content": ""}],
            "a result without its call",
        ),
        (
            [SYSTEM, user("Hi"), {"role": "assistant", "tool_calls": [{"id": "a"}]}, user("Hi")],
            "a call without its result",
        ),
    ],
)
def test_it_sees_what_no_server_takes(messages: list[dict[str, Any]], problem: str) -> None:
    model = a_model()
    answer_to(model, *messages)

    assert problem in model.malformed
