"""The model calls tools that we run: once or several times within one turn."""

import json

import pytest
from attrs import evolve

from adapters.assistant_profile.toml_file import load_assistant
from domain.model.assistant import Assistant
from domain.model.message import (
    NO_SERVER,
    FinishReason,
    Message,
    Role,
    StepMark,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    Usage,
)
from domain.model.piece import (
    NumberedPiece,
    Piece,
    StepPiece,
    TextPiece,
)
from domain.model.preparation import Preparation
from domain.model.prompt import ReplyOptions, Tool
from domain.model.tool_settings import ToolSettings
from entrypoints.usecases.create_response import CreateResponse, InputItem, ResponseRequest
from entrypoints.usecases.open_turn import Started
from entrypoints.usecases.submit_tool_results import SubmitToolResults, ToolResults
from tests.support.builders import OWNER
from tests.support.harness import PAYER, WHEN_IT_COMES, Harness, a_harness
from tests.support.scripted_hook import ScriptedHook
from tests.support.tool_servers import (
    ScriptedToolServers,
    SteppingModel,
    WaitingToolServers,
    a_call,
    a_server_tool,
)

MAP = Tool(name="show_map", parameters='{"type":"object"}')


def an_assistant(**tools: object) -> Assistant:
    return evolve(load_assistant(None), tools=ToolSettings(**tools))  # type: ignore[arg-type]


async def reply_after(harness: Harness, started: Started) -> Message:
    await harness.end_of(started)
    return (await harness.stored(started.conversation.id)).messages[-1]


async def pieces_after(harness: Harness, started: Started) -> list[Piece]:
    return [numbered.piece for numbered in (await harness.whole_turn(started)).pieces]


def result_of(reply: Message, call_id: str = "call_1") -> ToolResultPart:
    results = [part for part in reply.parts if isinstance(part, ToolResultPart)]
    return next(result for result in results if result.call_id == call_id)


async def test_a_call_is_run_and_the_model_sees_its_result() -> None:
    model, servers = SteppingModel([TextPiece("Let me look."), a_call()]), ScriptedToolServers()
    harness = a_harness(model, tool_servers=servers)
    reply = await reply_after(harness, await harness.send())

    assert servers.calls == [("search", '{"query":"cats"}')]
    assert reply.parts == (
        TextPart("Let me look."),
        ToolCallPart(
            call_id="call_1", name="search", arguments='{"query":"cats"}', server="library"
        ),
        ToolResultPart(call_id="call_1", output=json.dumps('found {"query":"cats"}')),
        StepMark(),
        TextPart("Done."),
    )
    assert model.prompts[1].messages[-1].parts == reply.parts[:3]
    assert reply.finish_reason is FinishReason.STOP


async def test_the_tokens_of_all_steps_are_counted() -> None:
    model = SteppingModel([a_call()], usage=Usage(input_tokens=7, output_tokens=3))
    harness = a_harness(model, tool_servers=ScriptedToolServers())
    reply = await reply_after(harness, await harness.send())

    assert reply.usage == Usage(input_tokens=14, output_tokens=6)
    [fields] = harness.telemetry.fields_of("turn.finished")
    assert (fields["steps"], fields["input_tokens"]) == (2, 14)


async def test_a_call_is_reported_without_its_arguments() -> None:
    harness = a_harness(SteppingModel([a_call()]), tool_servers=ScriptedToolServers())
    await harness.end_of(await harness.send())

    [fields] = harness.telemetry.fields_of("tool.called")
    assert fields == {
        "server": "library",
        "tool": "search",
        "seconds": 0.0,
        "failed": False,
        "reason": None,
    }


async def test_two_calls_run_at_once_and_each_result_is_written_when_it_arrives() -> None:
    servers = WaitingToolServers()
    harness = a_harness(SteppingModel([a_call("a"), a_call("b")]), tool_servers=servers)
    started = await harness.send()
    first, second = await servers.next_call(), await servers.next_call()
    second.answer('"second"')
    await second.closed.wait()
    seen: list[NumberedPiece] = []
    while len(seen) < 3:
        seen += (await harness.follow.read(started.turn_ref, seen, WHEN_IT_COMES)).pieces
    first.answer('"first"')
    reply = await reply_after(harness, started)

    results = [part.call_id for part in reply.parts if isinstance(part, ToolResultPart)]
    assert results == ["b", "a"]


async def test_of_many_calls_only_some_are_run() -> None:
    servers = ScriptedToolServers()
    calls = [a_call(f"call_{number}") for number in range(20)]
    harness = a_harness(SteppingModel(calls), tool_servers=servers)
    reply = await reply_after(harness, await harness.send())

    assert len(servers.calls) == 16
    assert result_of(reply, "call_16").failed
    assert reply.text == "Done."


@pytest.mark.parametrize("arguments", ["{", "[1]", '"cats"', "1"])
async def test_a_tool_is_not_run_with_arguments_that_are_no_object(arguments: str) -> None:
    servers = ScriptedToolServers()
    harness = a_harness(SteppingModel([a_call(arguments=arguments)]), tool_servers=servers)
    reply = await reply_after(harness, await harness.send())

    assert servers.calls == []
    assert result_of(reply).failed
    assert reply.text == "Done."


async def test_a_tool_without_arguments_gets_an_empty_object() -> None:
    servers = ScriptedToolServers()
    harness = a_harness(SteppingModel([a_call(arguments="")]), tool_servers=servers)
    await harness.end_of(await harness.send())

    assert servers.calls == [("search", "{}")]


async def test_the_model_learns_that_nobody_has_a_tool() -> None:
    harness = a_harness(SteppingModel([a_call(name="magic")]), tool_servers=ScriptedToolServers())
    reply = await reply_after(harness, await harness.send())

    call = reply.parts[0]
    assert isinstance(call, ToolCallPart)
    assert call.server == NO_SERVER
    assert result_of(reply).failed
    assert reply.text == "Done."
    [fields] = harness.telemetry.fields_of("tool.called")
    assert (fields["tool"], fields["reason"]) == (None, "unknown")


async def test_the_last_request_allows_no_calls() -> None:
    model = SteppingModel([a_call("a")], [a_call("b")], [a_call("c")])
    servers = ScriptedToolServers()
    harness = a_harness(model, tool_servers=servers, assistant=an_assistant(max_steps=2))
    reply = await reply_after(harness, await harness.send())

    assert [prompt.options.tool_choice for prompt in model.prompts] == [None, "none"]
    assert len(servers.calls) == 1
    assert result_of(reply, "b").failed
    assert reply.finish_reason is FinishReason.OTHER


async def test_a_forced_call_is_forced_only_once() -> None:
    model = SteppingModel([a_call()])
    harness = a_harness(model, tool_servers=ScriptedToolServers())
    await respond(harness, ReplyOptions(tool_choice="required"))

    assert [prompt.options.tool_choice for prompt in model.prompts] == ["required", None]


async def test_a_request_may_bound_the_calls() -> None:
    model, servers = SteppingModel([a_call("a"), a_call("b")]), ScriptedToolServers()
    harness = a_harness(model, tool_servers=servers)
    await respond(harness, ReplyOptions(max_tool_calls=1))

    assert len(servers.calls) == 1
    assert [prompt.options.tool_choice for prompt in model.prompts] == [None, "none"]


async def respond(harness: Harness, options: ReplyOptions) -> Started:
    item = InputItem(role=Role.USER, parts=(TextPart("Hello?"),))
    request = ResponseRequest(inputs=[item], payer=PAYER, options=options)
    started = await harness.container.resolve(CreateResponse)(OWNER, request)
    await harness.end_of(started)
    return started


async def test_the_tool_of_the_caller_replaces_one_of_ours() -> None:
    servers = ScriptedToolServers()
    own = Tool(name="search", parameters="{}")
    model = SteppingModel([a_call()])
    harness = a_harness(model, tool_servers=servers)
    await respond(harness, ReplyOptions(tools=(own,)))

    assert servers.calls == []
    assert model.prompts[0].options.tools == (own,)


async def test_a_caller_with_tools_of_its_own_gets_calls_that_nobody_else_has() -> None:
    model = SteppingModel([a_call(name="magic")])
    harness = a_harness(model, tool_servers=ScriptedToolServers())
    started = await respond(
        harness, ReplyOptions(tools=(Tool(name="own", parameters="{}"),), client_tools=False)
    )
    reply = (await harness.stored(started.conversation.id)).messages[-1]

    assert [call.name for call in reply.open_tool_calls] == ["magic"]


async def test_calls_of_the_client_end_the_turn_after_ours_were_run() -> None:
    model = SteppingModel([a_call("ours"), a_call("theirs", "show_map")])
    harness = a_harness(
        model, tool_servers=ScriptedToolServers(), assistant=an_assistant(client=(MAP,))
    )
    started = await harness.send()
    waiting = await reply_after(harness, started)
    answers = ToolResults(
        session_id=started.conversation.id,
        payer=PAYER,
        results=[ToolResultPart(call_id="theirs", output='"shown"')],
    )
    continued = await harness.container.resolve(SubmitToolResults)(OWNER, answers)
    reply = await reply_after(harness, continued)

    assert waiting.finish_reason is FinishReason.TOOL_CALLS
    assert result_of(waiting, "ours").output == json.dumps('found {"query":"cats"}')
    assert [call.call_id for call in waiting.open_tool_calls] == ["theirs"]
    assert reply.parts[-2:] == (StepMark(), TextPart("Done."))


async def test_a_step_without_words_leaves_no_mark() -> None:
    model = SteppingModel([a_call()], [])
    harness = a_harness(model, tool_servers=ScriptedToolServers())
    started = await harness.send()

    assert StepPiece() not in await pieces_after(harness, started)


async def test_without_tools_a_call_is_left_to_the_client() -> None:
    harness = a_harness(SteppingModel([a_call()]))
    reply = await reply_after(harness, await harness.send())

    assert [call.call_id for call in reply.open_tool_calls] == ["call_1"]


async def test_the_hook_may_offer_some_tools_only() -> None:
    servers = ScriptedToolServers(a_server_tool("search"), a_server_tool("buy"))
    model = SteppingModel()
    hook = ScriptedHook(Preparation(offered=frozenset({"buy"})))
    harness = a_harness(model, tool_servers=servers, hook=hook)
    await harness.end_of(await harness.send())

    assert [tool.name for tool in model.prompts[0].options.tools] == ["buy"]
    assert "hook.unknown-tool" not in harness.telemetry.events


async def test_names_of_a_hook_that_no_tool_has_are_counted_and_not_logged() -> None:
    model = SteppingModel()
    names = frozenset({"buy", "show_map", "own", "planted", "planted_too"})
    hook = ScriptedHook(Preparation(offered=names, tools=(Tool(name="own", parameters="{}"),)))
    harness = a_harness(
        model,
        tool_servers=ScriptedToolServers(a_server_tool("buy")),
        assistant=an_assistant(client=(MAP,)),
        hook=hook,
    )
    await harness.end_of(await harness.send())

    offered = {tool.name for tool in model.prompts[0].options.tools}
    assert offered == {"buy", "show_map", "own"}
    assert harness.telemetry.fields_of("hook.unknown-tool") == [{"tools": 2}]


async def test_a_client_tool_that_a_caller_does_not_get_is_not_unknown() -> None:
    hook = ScriptedHook(Preparation(offered=frozenset({"show_map", "asked"})))
    harness = a_harness(SteppingModel(), assistant=an_assistant(client=(MAP,)), hook=hook)
    own = Tool(name="asked", parameters="{}")
    await respond(harness, ReplyOptions(tools=(own,), client_tools=False))

    assert "hook.unknown-tool" not in harness.telemetry.events
