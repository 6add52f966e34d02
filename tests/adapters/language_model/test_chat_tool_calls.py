"""Tool calls are told apart, and every one has an id of its own."""

from typing import Any

import pytest
from attrs import evolve

from adapters.language_model.chat_stream import ChatStream
from domain.model.message import ToolCallPart, ToolResultPart
from domain.model.piece import ToolCallPiece, assemble_parts
from ports.language_model import MalformedStream
from tests.support.builders import a_conversation, with_user_message
from tests.support.model_client import PROMPT, model_at
from tests.support.model_server import DONE, Play, delta, finished, model_server


def calls(*told: dict[str, Any], taken: tuple[str, ...] = ()) -> list[ToolCallPart]:
    """The calls of a reply whose chunks tell these."""
    stream = ChatStream(taken)
    chunks = [delta(tool_calls=[one]) for one in told]
    pieces = [piece for chunk in (*chunks, finished()) for piece in stream.feed(chunk)]
    return [part for part in assemble_parts(pieces) if isinstance(part, ToolCallPart)]


def a_call(name: str | None, arguments: str, **members: Any) -> dict[str, Any]:
    return {**members, "function": {"name": name, "arguments": arguments}}


def named(told: list[ToolCallPart]) -> list[tuple[str, str]]:
    assert len({call.call_id for call in told}) == len(told)
    assert all(call.call_id for call in told)
    return [(call.name, call.arguments) for call in told]


def test_calls_without_an_index_are_told_apart_by_id_and_name() -> None:
    told = calls(
        a_call("look", "{", index=None, id="a"),
        a_call(None, "}"),
        a_call("find", "{}", id="b"),
    )

    assert named(told) == [("look", "{}"), ("find", "{}")]


def test_calls_with_one_index_and_no_ids_are_told_apart_by_being_whole() -> None:
    told = calls(a_call("look", "{}", index=0, id=""), a_call("look", "{}", index=0, id=""))

    assert named(told) == [("look", "{}"), ("look", "{}")]


def test_a_name_that_comes_with_every_chunk_begins_no_call() -> None:
    told = calls(
        a_call("look", "{", index=0), a_call("look", "}", index=0), a_call("look", "", index=0)
    )

    assert named(told) == [("look", "{}")]


def test_an_id_that_is_given_twice_is_given_once() -> None:
    told = calls(a_call("look", "{}", index=0, id="x"), a_call("find", "{}", index=1, id="x"))

    assert named(told) == [("look", "{}"), ("find", "{}")]
    assert told[0].call_id == "x"


def test_an_id_of_an_earlier_reply_is_not_used_again() -> None:
    [told] = calls(a_call("look", "{}", index=0, id="call_0"), taken=("call_0",))

    assert told.call_id not in ("call_0", "")


def test_what_belongs_to_no_call_is_malformed() -> None:
    with pytest.raises(MalformedStream):
        calls(a_call(None, "{}"))


async def test_ids_of_the_conversation_are_known_to_the_client() -> None:
    call = ToolCallPart(call_id="call_0", name="look", arguments="{}")
    result = ToolResultPart(call_id="call_0", output="1")
    before = with_user_message(a_conversation(), parts=(call, result)).messages[-1]
    prompt = evolve(PROMPT, messages=(*PROMPT.messages, before))
    again = delta(tool_calls=[a_call("look", "{}", index=0, id="call_0")])
    play = Play(parts=(again, finished("tool_calls"), DONE))
    async with model_server(play) as server, model_at(server.url) as model:
        said = [piece async for piece in model.reply(prompt)]

    assert isinstance(said[0], ToolCallPiece)
    assert said[0].call_id != "call_0"
