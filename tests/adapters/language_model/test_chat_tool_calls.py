"""Tool calls are distinguished, and each has a unique id."""

from typing import Any

import pytest
from attrs import evolve

from adapters.language_model.chat_stream import ChatStream
from domain.model.message import ToolCallPart, ToolResultPart
from domain.model.piece import ToolCallPiece, assemble_parts
from ports.language_model import MalformedStream
from tests.support.builders import a_conversation, with_user_message
from tests.support.model_client import PROMPT, model_at
from tests.support.model_server import DONE, ModelResponse, delta, finished, model_server


def read_calls(*deltas: dict[str, Any], used_ids: tuple[str, ...] = ()) -> list[ToolCallPart]:
    """The calls of a reply with these ``tool_calls`` deltas, one for each chunk."""
    stream = ChatStream(used_ids)
    chunks = [delta(tool_calls=[call]) for call in deltas]
    pieces = [piece for chunk in (*chunks, finished()) for piece in stream.feed(chunk)]
    return [part for part in assemble_parts(pieces) if isinstance(part, ToolCallPart)]


def call(name: str | None, arguments: str, **members: Any) -> dict[str, Any]:
    return {**members, "function": {"name": name, "arguments": arguments}}


def distinct(calls: list[ToolCallPart]) -> list[tuple[str, str]]:
    """The names and arguments of the calls, once their ids are checked to be unique."""
    assert len({call.call_id for call in calls}) == len(calls)
    assert all(call.call_id for call in calls)
    return [(call.name, call.arguments) for call in calls]


def test_calls_without_an_index_are_distinguished_by_id_and_name() -> None:
    calls = read_calls(
        call("look", "{", index=None, id="a"),
        call(None, "}"),
        call("find", "{}", id="b"),
    )

    assert distinct(calls) == [("look", "{}"), ("find", "{}")]


def test_without_ids_a_complete_call_is_followed_by_a_new_one() -> None:
    calls = read_calls(call("look", "{}", index=0, id=""), call("look", "{}", index=0, id=""))

    assert distinct(calls) == [("look", "{}"), ("look", "{}")]


def test_a_name_repeated_in_every_chunk_starts_no_new_call() -> None:
    calls = read_calls(
        call("look", "{", index=0),
        call("look", "}", index=0),
        call("look", "", index=0),
    )

    assert distinct(calls) == [("look", "{}")]


def test_a_repeated_id_is_used_only_once() -> None:
    calls = read_calls(call("look", "{}", index=0, id="x"), call("find", "{}", index=1, id="x"))

    assert distinct(calls) == [("look", "{}"), ("find", "{}")]
    assert calls[0].call_id == "x"


def test_an_id_of_an_earlier_reply_is_replaced() -> None:
    [part] = read_calls(call("look", "{}", index=0, id="call_0"), used_ids=("call_0",))

    assert part.call_id not in ("call_0", "")


def test_arguments_without_a_call_are_malformed() -> None:
    with pytest.raises(MalformedStream):
        read_calls(call(None, "{}"))


async def test_call_ids_of_the_conversation_are_not_used_again() -> None:
    earlier_call = ToolCallPart(call_id="call_0", name="look", arguments="{}")
    result = ToolResultPart(call_id="call_0", output="1")
    earlier = with_user_message(a_conversation(), parts=(earlier_call, result)).messages[-1]
    prompt = evolve(PROMPT, messages=(*PROMPT.messages, earlier))
    repeated = delta(tool_calls=[call("look", "{}", index=0, id="call_0")])
    response = ModelResponse(chunks=(repeated, finished("tool_calls"), DONE))
    async with model_server(response) as server, model_at(server.url) as model:
        pieces = [piece async for piece in model.reply(prompt)]

    assert isinstance(pieces[0], ToolCallPiece)
    assert pieces[0].call_id != "call_0"


@pytest.mark.parametrize(
    "arguments",
    ['{"a":"}"}', '{"a":"\\\\"}', '{"a":"\\"}"}', '[{"a":[]}]', '{"a":"\\\\\\"{"} '],
)
def test_the_end_of_arguments_is_found_however_they_are_cut(arguments: str) -> None:
    fragments = [call("look", fragment, index=0) for fragment in arguments.rstrip()]

    calls = read_calls(*fragments, call("look", "{}", index=0))

    assert distinct(calls) == [("look", arguments.rstrip()), ("look", "{}")]
