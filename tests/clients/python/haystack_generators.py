"""Haystack: its chat generators and its agent, with both APIs."""

import json

from haystack.components.agents import Agent
from haystack.components.generators.chat import OpenAIChatGenerator, OpenAIResponsesChatGenerator
from haystack.dataclasses import ChatMessage
from haystack.tools import create_tool_from_function
from haystack.utils import Secret
from openai import APIError, AuthenticationError
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
    fails,
    includes,
    play,
    weather,
)


class Report(BaseModel):
    city: str
    degrees: int


class Scenarios:
    def __init__(self, kind, structured):
        self._kind = kind
        self._structured = structured

    def _generator(self, key=API_KEY, **options):
        return self._kind(
            api_key=Secret.from_token(key), model=MODEL, api_base_url=BASE_URL, **options
        )

    def _run(self, *messages, **options):
        return self._generator(**options).run([*messages])["replies"][0]

    def text(self):
        includes(self._run(ChatMessage.from_user("Hello?")).text, "user: Hello?")

    def system(self):
        reply = self._run(ChatMessage.from_system("Rhyme."), ChatMessage.from_user("Hello?"))
        includes(reply.text, "Rhyme.", "user: Hello?")

    def turns(self):
        one, two = ChatMessage.from_user("One"), ChatMessage.from_user("Two")
        includes(self._run(one, self._run(one), two).text, "user: One", "assistant: ", "user: Two")

    def stream(self):
        chunks = []
        reply = self._run(
            ChatMessage.from_user("Hello?"),
            streaming_callback=lambda chunk: chunks.append(chunk.content),
        )
        includes("".join(chunks), "user: Hello?")
        assert reply.text == "".join(chunks)

    def tools(self):
        agent = Agent(
            chat_generator=self._generator(),
            tools=[create_tool_from_function(weather)],
            system_prompt="Be brief.",
        )
        reply = agent.run(messages=[ChatMessage.from_user("How is the weather?")])
        includes(reply["last_message"].text, FOUND)

    def structured(self):
        reply = self._run(ChatMessage.from_user("How warm?"), generation_kwargs=self._structured)
        assert Report(**json.loads(reply.text)) == Report(city=CITY, degrees=DEGREES)

    def error(self):
        fails(
            lambda: self._run(ChatMessage.from_user("Hello?"), key=WRONG_KEY),
            AuthenticationError,
            "client_key_invalid",
        )
        fails(
            lambda: self._run(ChatMessage.from_user(TOO_LONG)),
            APIError,
            "message_too_long",
            "A message has at most",
        )


for api, scenarios in {
    "responses": Scenarios(OpenAIResponsesChatGenerator, {"text_format": Report}),
    "chat completions": Scenarios(OpenAIChatGenerator, {"response_format": Report}),
}.items():
    play(client="haystack-ai", api=api, scenarios=scenarios)
