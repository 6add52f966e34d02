"""Agno: its agent, with both APIs."""

from agno.agent import Agent
from agno.db.in_memory import InMemoryDb
from agno.models.openai import OpenAIChat, OpenAILike, OpenAIResponses, OpenResponses
from agno.run.base import RunStatus
from pydantic import BaseModel
from scenarios import (
    API_KEY,
    BASE_URL,
    CITY,
    DEGREES,
    FOUND,
    MODEL,
    TOO_LONG,
    WRONG_KEY,
    includes,
    play,
    weather,
)


class Report(BaseModel):
    city: str
    degrees: int


class Scenarios:
    def __init__(self, *kinds):
        self._kinds = kinds

    def _agents(self, key=API_KEY, **options):
        for kind in self._kinds:
            yield Agent(model=kind(id=MODEL, base_url=BASE_URL, api_key=key), **options)

    def text(self):
        for agent in self._agents():
            includes(agent.run("Hello?").content, "user: Hello?")

    def system(self):
        for agent in self._agents(instructions="Rhyme."):
            includes(agent.run("Hello?").content, "Rhyme.", "user: Hello?")

    def turns(self):
        for agent in self._agents(db=InMemoryDb(), add_history_to_context=True):
            agent.run("One", session_id="main")
            second = agent.run("Two", session_id="main")
            includes(second.content, "user: One", "assistant: ", "user: Two")

    def stream(self):
        for agent in self._agents():
            text = "".join(event.content or "" for event in agent.run("Hello?", stream=True))
            includes(text, "user: Hello?")

    def tools(self):
        for agent in self._agents(tools=[weather], instructions="Be brief."):
            includes(agent.run("How is the weather?").content, FOUND)

    def structured(self):
        for agent in self._agents(output_schema=Report):
            assert agent.run("How warm?").content == Report(city=CITY, degrees=DEGREES)

    def error(self):
        """A run reports an error instead of raising it."""
        for agent in self._agents(WRONG_KEY):
            output = agent.run("Hello?")
            assert output.status == RunStatus.error
            includes(output.content, "valid client key")
        for agent in self._agents():
            output = agent.run(TOO_LONG)
            assert output.status == RunStatus.error
            includes(output.content, "A message has at most")


for api, scenarios in {
    "responses": Scenarios(OpenAIResponses, OpenResponses),
    "chat completions": Scenarios(OpenAIChat, OpenAILike),
}.items():
    play(client="agno", api=api, scenarios=scenarios)
