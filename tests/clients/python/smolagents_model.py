"""smolagents: its OpenAIModel and its ToolCallingAgent, with Chat Completions."""

from openai import APIError, AuthenticationError
from pydantic import BaseModel
from scenarios import (
    API_KEY,
    BASE_URL,
    CITY,
    DEGREES,
    MODEL,
    TOO_LONG,
    WRONG_KEY,
    fails,
    includes,
    play,
)
from smolagents import ChatMessage, MessageRole, OpenAIModel, Tool, ToolCallingAgent


class Weather(Tool):
    name = "weather"
    description = "The weather in a city."
    inputs = {"city": {"type": "string", "description": "The city."}}  # noqa: RUF012
    output_type = "string"

    def forward(self, city: str) -> str:
        return f"sunny in {city}"


class Report(BaseModel):
    city: str
    degrees: int


def user(text):
    return ChatMessage(role=MessageRole.USER, content=[{"type": "text", "text": text}])


def system(text):
    return ChatMessage(role=MessageRole.SYSTEM, content=[{"type": "text", "text": text}])


class Scenarios:
    def __init__(self):
        self._model = self._model_with(API_KEY)

    def _model_with(self, key):
        return OpenAIModel(MODEL, api_base=BASE_URL, api_key=key)

    def text(self):
        includes(self._model.generate([user("Hello?")]).content, "user: Hello?")

    def system(self):
        reply = self._model.generate([system("Rhyme."), user("Hello?")])
        includes(reply.content, "Rhyme.", "user: Hello?")

    def turns(self):
        first = self._model.generate([user("One")])
        reply = self._model.generate([user("One"), first, user("Two")])
        includes(reply.content, "user: One", "assistant: ", "user: Two")

    def stream(self):
        deltas = self._model.generate_stream([user("Hello?")])
        includes("".join(delta.content or "" for delta in deltas), "user: Hello?")

    def tools(self):
        agent = ToolCallingAgent(tools=[Weather()], model=self._model, verbosity_level=0)
        includes(agent.run("How is the weather?"), "sunny in Rome")

    def structured(self):
        schema = {"name": "report", "schema": Report.model_json_schema()}
        reply = self._model.generate(
            [user("How warm?")],
            response_format={"type": "json_schema", "json_schema": schema},
        )
        assert Report.model_validate_json(reply.content) == Report(city=CITY, degrees=DEGREES)

    def error(self):
        wrong = self._model_with(WRONG_KEY)
        fails(lambda: wrong.generate([user("Hello?")]), AuthenticationError, "client_key_invalid")
        fails(
            lambda: self._model.generate([user(TOO_LONG)]),
            APIError,
            "message_too_long",
            "A message has at most",
        )


play(client="smolagents", api="chat completions", scenarios=Scenarios())
