"""LangChain's ChatOpenAI, with both APIs."""

from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
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
    def __init__(self, *, use_responses_api: bool):
        self._use_responses_api = use_responses_api
        self._model = self._model_with(API_KEY)

    def _model_with(self, key):
        return ChatOpenAI(
            model=MODEL, base_url=BASE_URL, api_key=key, use_responses_api=self._use_responses_api
        )

    def text(self):
        reply = self._model.invoke("Hello?")
        includes(reply.text, "user: Hello?")
        assert reply.usage_metadata["total_tokens"] > 0

    def system(self):
        messages = [SystemMessage("Rhyme."), HumanMessage("Hello?")]
        includes(self._model.invoke(messages).text, "Rhyme.", "user: Hello?")

    def turns(self):
        messages = [HumanMessage("One")]
        messages += [self._model.invoke(messages), HumanMessage("Two")]
        includes(self._model.invoke(messages).text, "user: One", "assistant: ", "user: Two")

    def stream(self):
        text = "".join(chunk.text for chunk in self._model.stream("Hello?"))
        includes(text, "user: Hello?")

    def tools(self):
        model = self._model.bind_tools([tool(weather)])
        messages = [HumanMessage("How is the weather?")]
        messages.append(model.invoke(messages))
        messages += [
            ToolMessage(weather(**call["args"]), tool_call_id=call["id"])
            for call in messages[-1].tool_calls
        ]
        includes(model.invoke(messages).text, FOUND)

    def structured(self):
        report = self._model.with_structured_output(Report).invoke("How warm?")
        assert report == Report(city=CITY, degrees=DEGREES)

    def error(self):
        wrong = self._model_with(WRONG_KEY)
        fails(lambda: wrong.invoke("Hello?"), AuthenticationError, "client_key_invalid")
        fails(
            lambda: self._model.invoke(TOO_LONG),
            APIError,
            "message_too_long",
            "A message has at most",
        )


for api in ("responses", "chat completions"):
    play(
        client="langchain-openai",
        api=api,
        scenarios=Scenarios(use_responses_api=api == "responses"),
    )
