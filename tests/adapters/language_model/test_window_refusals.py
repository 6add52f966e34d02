"""The numbers in the refusals of common servers; nothing else of a response is kept."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import evolve

from domain.model.prompt import Prompt, ReplyOptions, Tool
from ports.language_model import ContextExceeded
from tests.support.builders import a_message
from tests.support.model_client import PROMPT, collect_reply, model_at
from tests.support.model_server import ModelResponse, an_error, event, model_server

FILE: Final = Path(__file__).parent / "recorded_refusals.json"
WORDINGS: Final = {
    one["server"]: (one["message"], one["window"], one["prompt_tokens"])
    for one in json.loads(FILE.read_text("utf-8"))
}


async def refusal_for(response: ModelResponse, prompt: Prompt = PROMPT) -> ContextExceeded:
    async with model_server(response) as server, model_at(server.url) as model:
        with pytest.raises(ContextExceeded) as refusal:
            await collect_reply(model, prompt)
    return refusal.value


async def numbers_in(response: ModelResponse) -> tuple[int | None, int | None]:
    refusal = await refusal_for(response)
    return refusal.window, refusal.prompt_tokens


@pytest.mark.parametrize("server", WORDINGS)
async def test_the_numbers_in_a_text_are_read(server: str) -> None:
    text, window, prompt_tokens = WORDINGS[server]

    assert await numbers_in(an_error(400, message=text)) == (window, prompt_tokens)


async def test_the_members_of_llama_cpp_come_before_its_text() -> None:
    text, *_ = WORDINGS["OpenAI"]
    members: dict[str, Any] = {
        "type": "exceed_context_size_error",
        "n_ctx": 1_024,
        "n_prompt_tokens": 3_031,
    }

    assert await numbers_in(an_error(400, message=text, **members)) == (1_024, 3_031)


@pytest.mark.parametrize("number", [0, -1, 255, 10**7 + 1, 10**30, 4096.5, "4096", True, None])
async def test_a_number_that_no_window_has_is_ignored(number: object) -> None:
    members: dict[str, Any] = {"type": "exceed_context_size_error", "n_ctx": number}

    assert await numbers_in(an_error(400, message="too long", **members)) == (None, None)


async def test_a_refusal_without_a_text_has_no_numbers() -> None:
    assert await numbers_in(ModelResponse(status=413, chunks=(b"<html>",))) == (None, None)


async def test_a_refusal_as_the_first_event_of_a_stream_is_read() -> None:
    text, window, prompt_tokens = WORDINGS["vLLM"]
    response = ModelResponse(chunks=(event({"error": {"code": 400, "message": text}}),))

    assert await numbers_in(response) == (window, prompt_tokens)


async def test_nothing_of_the_text_is_in_the_error() -> None:
    text, *_ = WORDINGS["OpenAI"]
    refusal = await refusal_for(an_error(400, message=f"planted {text} planted"))

    assert "planted" not in f"{refusal!r} {refusal} {vars(refusal)} {refusal.details}"


PLANTED: Final = "maximum context length is 256"
ESCAPED: Final = PLANTED.replace(" ", "\\u0020")


@pytest.mark.parametrize(
    "members",
    [
        {"messages": (a_message(text=f"My {PLANTED} tokens"),)},
        {"options": ReplyOptions(tools=(Tool(name="a", parameters=f'{{"title":"{ESCAPED}"}}'),))},
    ],
)
async def test_a_number_that_the_prompt_may_have_planted_is_ignored(members: Any) -> None:
    refusal = await refusal_for(an_error(400, message=f"Bad: {PLANTED}"), evolve(PROMPT, **members))

    assert (refusal.window, refusal.prompt_tokens) == (None, None)
