"""LiteLLM, with both APIs."""

import json

import litellm
from pydantic import BaseModel
from scenarios import (
    API_KEY,
    BASE_URL,
    CITY,
    DEGREES,
    FOUND,
    TOO_LONG,
    WEATHER,
    WRONG_KEY,
    fails,
    includes,
    play,
    weather,
)

# The prefix chooses the protocol. Privity ignores the name after it.
SERVICE = {"model": "openai/any", "api_base": BASE_URL}


TOOL = {"name": "weather", "description": "The weather in a city.", "parameters": WEATHER}
CHAT_TOOL = {"type": "function", "function": TOOL}
RESPONSES_TOOL = {"type": "function", **TOOL, "strict": True}


class Report(BaseModel):
    city: str
    degrees: int


def user(text):
    return {"role": "user", "content": text}


class ChatCompletions:
    def _complete(self, *messages, key=API_KEY, **options):
        completion = litellm.completion(messages=[*messages], api_key=key, **SERVICE, **options)
        return completion.choices[0].message

    def text(self):
        includes(self._complete(user("Hello?")).content, "user: Hello?")

    def system(self):
        reply = self._complete({"role": "system", "content": "Rhyme."}, user("Hello?"))
        includes(reply.content, "Rhyme.", "user: Hello?")

    def turns(self):
        reply = self._complete(user("One"), self._complete(user("One")), user("Two"))
        includes(reply.content, "user: One", "assistant: ", "user: Two")

    def stream(self):
        chunks = litellm.completion(
            messages=[user("Hello?")], api_key=API_KEY, stream=True, **SERVICE
        )
        includes("".join(chunk.choices[0].delta.content or "" for chunk in chunks), "user: Hello?")

    def tools(self):
        question = user("How is the weather?")
        calling = self._complete(question, tools=[CHAT_TOOL])
        results = [
            {
                "role": "tool",
                "tool_call_id": call.id,
                "content": weather(**json.loads(call.function.arguments)),
            }
            for call in calling.tool_calls
        ]
        reply = self._complete(question, calling, *results, tools=[CHAT_TOOL])
        includes(reply.content, FOUND)

    def structured(self):
        reply = self._complete(user("How warm?"), response_format=Report)
        assert Report.model_validate_json(reply.content) == Report(city=CITY, degrees=DEGREES)

    def error(self):
        fails(
            lambda: self._complete(user("Hello?"), key=WRONG_KEY),
            litellm.AuthenticationError,
            "valid client key",
        )
        fails(
            lambda: self._complete(user(TOO_LONG)),
            litellm.BadRequestError,
            "A message has at most",
        )


class Responses:
    def _respond(self, content, key=API_KEY, **options):
        return litellm.responses(input=content, api_key=key, **SERVICE, **options)

    def text(self):
        includes(self._respond("Hello?").output_text, "user: Hello?")

    def system(self):
        messages = [{"role": "system", "content": "Rhyme."}, user("Hello?")]
        includes(self._respond(messages).output_text, "Rhyme.", "user: Hello?")
        reply = self._respond("Hello?", instructions="Rhyme.")
        includes(reply.output_text, "Rhyme.", "user: Hello?")

    def turns(self):
        first = self._respond("One")
        second = self._respond("Two", previous_response_id=first.id)
        includes(second.output_text, "user: One", "assistant: ", "user: Two")

    def stream(self):
        events = self._respond("Hello?", stream=True)
        text = "".join(
            event.delta for event in events if event.type == "response.output_text.delta"
        )
        includes(text, "user: Hello?")

    def tools(self):
        first = self._respond("How is the weather?", tools=[RESPONSES_TOOL])
        results = [
            {
                "type": "function_call_output",
                "call_id": item.call_id,
                "output": weather(**json.loads(item.arguments)),
            }
            for item in first.output
            if item.type == "function_call"
        ]
        second = self._respond(results, tools=[RESPONSES_TOOL], previous_response_id=first.id)
        includes(second.output_text, FOUND)

    def structured(self):
        reply = self._respond("How warm?", text_format=Report)
        report = Report.model_validate_json(reply.output_text)
        assert report == Report(city=CITY, degrees=DEGREES)

    def error(self):
        fails(
            lambda: self._respond("Hello?", key=WRONG_KEY),
            litellm.AuthenticationError,
            "valid client key",
        )
        fails(lambda: self._respond(TOO_LONG), litellm.BadRequestError, "A message has at most")


for api, scenarios in {"responses": Responses(), "chat completions": ChatCompletions()}.items():
    play(client="litellm", api=api, scenarios=scenarios)
