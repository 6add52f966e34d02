"""docs/hook.openapi.json says what the hook gets and may answer."""

from typing import Any

import msgspec
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from adapters.turn_hook.hook_answer import read_answer
from adapters.turn_hook.hook_bodies import question_body
from adapters.turn_hook.hook_sample import SAMPLE_ANSWER, sample_question
from tests.support.hook_server import a_question
from tools.hook_document import FILE, document, text


def schema(name: str) -> Draft202012Validator:
    return Draft202012Validator({**document(), "$ref": f"#/components/schemas/{name}"})


def test_the_file_is_up_to_date() -> None:
    assert FILE.read_text("utf-8") == text(), "run: just hook-document"


def test_it_is_valid() -> None:
    validate(document())


def test_its_examples_are_what_is_sent_and_understood() -> None:
    content: Any = document()["paths"]["/"]["post"]
    question = content["requestBody"]["content"]["application/json"]["example"]
    answer = content["responses"]["200"]["content"]["application/json"]["example"]

    assert question == msgspec.json.decode(question_body(sample_question()))
    assert schema("QuestionBody").is_valid(question)
    assert schema("AnswerBody").is_valid(answer)
    assert read_answer(msgspec.json.encode(answer)).state == '{"phase":"questions"}'
    assert answer == dict(SAMPLE_ANSWER)


def test_it_agrees_with_what_is_sent_and_refused() -> None:
    sent = msgspec.json.decode(question_body(a_question(state="[1]", summary="s")))

    assert schema("QuestionBody").is_valid(sent)
    assert not schema("AnswerBody").is_valid({"planted": 1})
    refused: list[Any] = [[], {}, {"type": "array"}]
    for parameters in refused:
        answer = {"tools": [{"name": "a", "parameters": parameters}]}
        assert not schema("AnswerBody").is_valid(answer)
    tools = ["a", {"name": "b", "parameters": {"type": "object"}}, {"name": "c"}]
    assert schema("AnswerBody").is_valid({"tools": tools})
    assert schema("AnswerBody").is_valid({"state": None, "reply": "Hi"})
