"""Callers on ``/v1`` who send their whole history with each request."""

from typing import Any

import pytest

from tests.support.fake_model import EchoModel
from tests.support.http_client import Answer
from tests.support.service import running_service
from tests.support.v1_client import V1Client

KEY = {"prompt_cache_key": "thread-1"}


@pytest.fixture
async def program() -> Any:
    async with running_service(model=EchoModel()) as service:
        yield await V1Client.new(service.url)


def said(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def conversation_of(answer: Answer) -> str:
    """The 32 digits that a response id shares with its conversation's."""
    return str(answer.document["id"]).removeprefix("resp_")[:32]


async def chat(program: V1Client, *texts: str, **members: Any) -> list[Answer]:
    """The responses of an agent that sends all items of its history each time."""
    history: list[dict[str, Any]] = []
    answers: list[Answer] = []
    for text in texts:
        history.append(said(text))
        answers.append(await program.ask(history, **members))
        assert answers[-1].status == 200, answers[-1].body
        history += answers[-1].document["output"]
    return answers


async def test_a_named_history_is_kept_in_one_conversation(program: V1Client) -> None:
    answers = await chat(program, "One", "Two", "Three", **KEY)

    [conversation] = {conversation_of(answer) for answer in answers}
    items = (await program.get(f"/v1/conversations/conv_{conversation}/items")).document["data"]
    assert len(items) == 6
    for answer in answers:
        assert (await program.response(answer.document["id"]))["output"] == answer.document[
            "output"
        ]


async def test_a_history_without_a_name_is_kept_once_for_each_request(program: V1Client) -> None:
    answers = await chat(program, "One", "Two")

    assert len({conversation_of(answer) for answer in answers}) == 2


@pytest.mark.parametrize("is_last", [True, False])
async def test_deleting_a_response_names_the_conversation_that_is_left(
    program: V1Client, *, is_last: bool
) -> None:
    texts = ("One",) if is_last else ("One", "Two")
    answers = await chat(program, *texts, **KEY)
    deleted = await program.delete(f"/v1/responses/{answers[0].document['id']}")

    assert deleted.document == {
        "id": answers[0].document["id"],
        "object": "response",
        "deleted": True,
        "conversation": None if is_last else {"id": f"conv_{conversation_of(answers[0])}"},
    }
