"""Pydantic AI: its agent, with both APIs."""

from pydantic import BaseModel
from pydantic_ai import Agent, ModelHTTPError, NativeOutput
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider
from scenarios import (
    API_KEY,
    BASE_URL,
    CITY,
    DEGREES,
    FOUND,
    MODEL,
    TOO_LONG,
    WRONG_KEY,
    fails,
    includes,
    play,
    weather,
)


class Report(BaseModel):
    city: str
    degrees: int


class Scenarios:
    def __init__(self, kind):
        self._kind = kind

    def _agent(self, key=API_KEY, **options):
        provider = OpenAIProvider(base_url=BASE_URL, api_key=key)
        return Agent(self._kind(MODEL, provider=provider), **options)

    def text(self):
        includes(self._agent().run_sync("Hello?").output, "user: Hello?")

    def system(self):
        for options in ({"system_prompt": "Rhyme."}, {"instructions": "Rhyme."}):
            reply = self._agent(**options).run_sync("Hello?")
            includes(reply.output, "Rhyme.", "user: Hello?")

    def turns(self):
        agent = self._agent(system_prompt="Rhyme.")
        first = agent.run_sync("One")
        second = agent.run_sync("Two", message_history=first.all_messages())
        includes(second.output, "Rhyme.", "user: One", "assistant: ", "user: Two")

    async def stream(self):
        async with self._agent().run_stream("Hello?") as result:
            text = "".join([delta async for delta in result.stream_text(delta=True)])
        includes(text, "user: Hello?")

    def tools(self):
        agent = self._agent(tools=[weather])
        includes(agent.run_sync("How is the weather?").output, FOUND)

    def structured(self):
        for output_type in (NativeOutput(Report), Report):
            agent = self._agent(output_type=output_type)
            reply = agent.run_sync("How is the weather?")
            assert reply.output == Report(city=CITY, degrees=DEGREES)

    def error(self):
        wrong = self._agent(WRONG_KEY)
        fails(lambda: wrong.run_sync("Hello?"), ModelHTTPError, "client_key_invalid")
        fails(
            lambda: self._agent().run_sync(TOO_LONG),
            ModelHTTPError,
            "message_too_long",
            "A message has at most",
        )


for api, kind in {"responses": OpenAIResponsesModel, "chat completions": OpenAIChatModel}.items():
    play(client="pydantic-ai", package="pydantic-ai-slim", api=api, scenarios=Scenarios(kind))
