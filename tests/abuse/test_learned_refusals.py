"""One caller cannot decide which parameters are sent to the model's server for everybody else."""

from typing import Any

from tests.support.model_server import ModelResponse, ModelServer, a_reply, an_error, model_server
from tests.support.native_client import NativeClient
from tests.support.processes import ServerProcess, serving
from tests.support.v1_client import V1Client

ALL = "store' 'stream_options' 'max_tokens"
TOOL = {"type": "function", "name": "store", "parameters": {"type": "object"}}


def without_effort(body: dict[str, Any]) -> ModelResponse:
    """A server that rejects ``reasoning_effort``; its error repeats what the client chose."""
    effort = body.get("reasoning_effort")
    if effort is None:
        return a_reply("Hi")
    tools = [tool["function"]["name"] for tool in body.get("tools", ())]
    message = f"'reasoning_effort': '{effort}' is not supported with the tools {tools}."
    return an_error(400, message=message, param="reasoning_effort")


def without_store_for_tools(body: dict[str, Any]) -> ModelResponse:
    """A server that rejects ``store`` in requests with tools."""
    if "tools" in body and "store" in body:
        return an_error(400, message="Unknown parameter: 'store'.", param="store")
    return a_reply("Hi")


def settings_for(model: ModelServer) -> dict[str, str]:
    return {"MODEL_BASE_URL": model.url, "MODEL_NAME": "small", "PRIVITY_V1": "open"}


async def request_of_another_user(server: ServerProcess, model: ModelServer) -> dict[str, Any]:
    """The request that the model gets for a message of another user."""
    reply = await NativeClient(server.url).send("Hello")

    assert reply.status == 200
    return model.bodies[-1]


def is_complete(body: dict[str, Any]) -> bool:
    return (
        body.get("store") is False
        and isinstance(body.get("max_tokens"), int)
        and body.get("stream_options") == {"include_usage": True}
    )


async def test_the_words_of_one_caller_change_no_other_request() -> None:
    async with (
        model_server(respond=without_effort) as model,
        serving(**settings_for(model)) as server,
    ):
        attacker = await V1Client.new(server.url)
        choices = ({"reasoning": {"effort": ALL}}, {"text": {"verbosity": ALL}})
        answers = [
            await attacker.post("/v1/responses", {"input": "Hello", **choice}) for choice in choices
        ]
        sent = await request_of_another_user(server, model)

    assert is_complete(sent)
    assert [answer.status for answer in answers] == [400, 400]
    assert [answer.document["error"]["code"] for answer in answers] == ["parameter_unsupported"] * 2
    assert all(b"stream_options" not in answer.body for answer in answers)
    assert len(model.bodies) == 1


async def test_the_tools_of_one_caller_change_no_other_request() -> None:
    async with (
        model_server(respond=without_effort) as model,
        serving(**settings_for(model)) as server,
    ):
        attacker = await V1Client.new(server.url)
        answer = await attacker.ask("Hello", tools=[TOOL], reasoning={"effort": "low"})
        sent = await request_of_another_user(server, model)

    assert answer.status == 200
    assert is_complete(sent)
    assert is_complete(model.bodies[1])


async def test_a_rejection_of_one_callers_request_changes_no_other_request() -> None:
    async with (
        model_server(respond=without_store_for_tools) as model,
        serving(**settings_for(model)) as server,
    ):
        attacker = await V1Client.new(server.url)
        first = await attacker.ask("Hello", tools=[TOOL])
        sent = await request_of_another_user(server, model)
        later = await attacker.ask("Hello", tools=[TOOL])
        sent_later = await request_of_another_user(server, model)

    assert is_complete(sent)
    assert is_complete(sent_later)
    # The server has accepted `store: false` in between, so it is no longer left out.
    assert (first.status, later.status) == (200, 502)


async def test_a_server_that_does_not_know_store_is_served_and_this_is_logged_once() -> None:
    def without_store(body: dict[str, Any]) -> ModelResponse:
        rejected = "store" in body
        return an_error(400, message="No.", param="store") if rejected else a_reply("Hi")

    async with (
        model_server(respond=without_store) as model,
        serving(**settings_for(model)) as server,
    ):
        replies = [await NativeClient(server.url).send("Hello") for _ in range(3)]
        server.terminate()
        ended = await server.wait()

    assert [reply.status for reply in replies] == [200] * 3
    assert ["store" in body for body in model.bodies] == [True, False, False, False]
    assert (ended.out + ended.err).count("model.parameter-rejected") == 1
