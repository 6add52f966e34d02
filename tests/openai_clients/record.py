"""Records the requests of the packages and the answers to them: ``python -m`` this module.

Run it after a release of a package or an intended change of a format, and read the difference.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

import agents
import httpx2
import openai
from agents import Agent, OpenAIConversationsSession, RunConfig, Runner

from tests.openai_clients.conftest import new_key
from tests.openai_clients.test_agents import weather
from tests.openai_clients.test_chat_completions import LOOK as LOOK_FUNCTION
from tests.openai_clients.test_chat_completions import with_results
from tests.openai_clients.test_responses import LOOK, results
from tests.support.http_client import Answer
from tests.support.openai_recordings import FOLDER, Exchange, Names, recordable
from tests.support.service import UNLIMITED, running_service
from tests.support.tool_model import ToolModel

Scene = Callable[[openai.AsyncOpenAI], Awaitable[None]]


class Recorder(httpx2.AsyncBaseTransport):
    """Passes requests on and keeps them with their answers."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self._names = Names()
        self._next = httpx2.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        sent = await request.aread()
        response = await self._next.handle_async_request(request)
        received = await response.aread()
        answer = Answer(
            status=response.status_code, headers=dict(response.headers), chunks=(received,)
        )
        path = request.url.raw_path.decode()
        body = json.loads(sent) if sent else None
        path, body, named = self._names.named([path, body, recordable(answer)])
        self.exchanges.append(
            Exchange(
                method=request.method,
                path=path,
                body=body,
                status=answer.status,
                answer=named,
            )
        )
        return httpx2.Response(response.status_code, headers=response.headers, content=received)


async def conversations(client: openai.AsyncOpenAI) -> None:
    items: Any = [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Hi!"}]
    created = await client.conversations.create(metadata={"topic": "tea"}, items=items)
    await client.conversations.retrieve(created.id)
    await client.conversations.update(created.id, metadata={"topic": "milk"})
    added = await client.conversations.items.create(created.id, items=items)
    _ = [item async for item in client.conversations.items.list(created.id, limit=3)]
    first = added.data[0].id or ""
    await client.conversations.items.retrieve(first, conversation_id=created.id)
    await client.conversations.items.delete(first, conversation_id=created.id)
    await client.conversations.delete(created.id)


async def responses(client: openai.AsyncOpenAI) -> None:
    create = client.responses.create
    first = await create(model="any", input="One", instructions="Rhyme.", metadata={"a": "b"})
    second = await create(model="any", input="Two", previous_response_id=first.id)
    await create(model="any", input="Three", previous_response_id=first.id)
    await create(model="any", input="Aside", store=False)
    await client.responses.retrieve(second.id)
    _ = [item async for item in client.responses.input_items.list(second.id)]
    await client.responses.delete(second.id)
    await client.models.list()


async def tools(client: openai.AsyncOpenAI) -> None:
    first = await client.responses.create(model="any", input="Please look.", tools=[LOOK])
    await client.responses.create(
        model="any", input=results(first), previous_response_id=first.id, tools=[LOOK]
    )


async def streams(client: openai.AsyncOpenAI) -> None:
    async with client.responses.stream(model="any", input="Hello there?") as stream:
        _ = [event async for event in stream]
    looking = await client.responses.create(
        model="any", input="Please look.", tools=[LOOK], stream=True
    )
    _ = [event async for event in looking]


async def refusals(client: openai.AsyncOpenAI) -> None:
    refused: list[dict[str, Any]] = [
        {"top_logprobs": 3},
        {"input": [{"role": "critic", "content": "Rhyme."}]},
        {"previous_response_id": "resp_made_up"},
        {"temperature": 3},
    ]
    for parameters in refused:
        try:
            await client.responses.create(**{"model": "any", "input": "Hello?", **parameters})
        except openai.BadRequestError:
            continue
        raise AssertionError(parameters)


async def completions(client: openai.AsyncOpenAI) -> None:
    create = client.chat.completions.create
    system: Any = {"role": "system", "content": "Rhyme."}
    asked: Any = [system, {"role": "user", "content": "Please look."}]
    await create(model="any", messages=[system, {"role": "user", "content": "Hello?"}])
    for stream in (False, True):
        await drained(
            await create(model="any", messages=asked, tools=[LOOK_FUNCTION], stream=stream)
        )
    options: Any = {"include_usage": True}
    await drained(await create(model="any", messages=asked, stream=True, stream_options=options))
    looked = await create(model="any", messages=asked, tools=[LOOK_FUNCTION])
    await create(model="any", messages=with_results(looked, asked), tools=[LOOK_FUNCTION])
    conversation: Any = {"conversation": (await client.conversations.create()).id}
    await create(model="any", messages=asked, extra_body=conversation)
    refused: list[dict[str, Any]] = [{"n": 2}, {"logprobs": True}, {"messages": [system]}]
    for parameters in refused:
        try:
            await create(**{"model": "any", "messages": asked, **parameters})
        except openai.BadRequestError:
            continue
        raise AssertionError(parameters)


async def drained(answer: Any) -> None:
    """Read a stream to its end."""
    if isinstance(answer, openai.AsyncStream):
        _ = [chunk async for chunk in answer]


async def sessions(client: openai.AsyncOpenAI) -> None:
    agents.set_tracing_disabled(disabled=True)
    config = RunConfig(model_provider=agents.OpenAIProvider(openai_client=client))
    agent = Agent(name="Clerk", instructions="Rhyme.", model="any", tools=[weather])
    session = OpenAIConversationsSession(openai_client=client)
    await Runner.run(agent, "Please look.", session=session, run_config=config)
    await session.get_items(limit=2)
    await session.pop_item()
    await session.clear_session()


SCENES: dict[str, Scene] = {
    scene.__name__: scene
    for scene in (conversations, responses, tools, streams, refusals, completions, sessions)
}


async def recorded(url: str, scene: Scene) -> dict[str, Any]:
    recorder = Recorder()
    async with (
        httpx2.AsyncClient(transport=recorder) as http,
        openai.AsyncOpenAI(
            base_url=f"{url}/v1", api_key=await new_key(url), http_client=http, max_retries=0
        ) as client,
    ):
        await scene(client)
    packages = {name: version(name) for name in ("openai", "openai-agents")}
    return {"packages": packages, "exchanges": [one.document() for one in recorder.exchanges]}


async def main() -> None:
    async with running_service(UNLIMITED, model=ToolModel()) as service:
        for name, scene in SCENES.items():
            document = await recorded(service.url, scene)
            text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
            (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main())
