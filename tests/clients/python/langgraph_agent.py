"""LangGraph: LangChain's agent, which runs as a graph with a checkpointer, with both APIs."""

from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
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

THREAD = {"configurable": {"thread_id": "main"}}


class Report(BaseModel):
    city: str
    degrees: int


def user(text):
    return {"messages": [{"role": "user", "content": text}]}


class Scenarios:
    def __init__(self, *, use_responses_api: bool):
        self._use_responses_api = use_responses_api

    def _agent(self, key=API_KEY, **options):
        model = ChatOpenAI(
            model=MODEL, base_url=BASE_URL, api_key=key, use_responses_api=self._use_responses_api
        )
        return create_agent(model, checkpointer=InMemorySaver(), **options)

    def _ask(self, agent, text):
        return agent.invoke(user(text), THREAD)["messages"][-1].text

    def text(self):
        includes(self._ask(self._agent(), "Hello?"), "user: Hello?")

    def system(self):
        agent = self._agent(system_prompt="Rhyme.")
        includes(self._ask(agent, "Hello?"), "Rhyme.", "user: Hello?")

    def turns(self):
        agent = self._agent()
        self._ask(agent, "One")
        includes(self._ask(agent, "Two"), "user: One", "assistant: ", "user: Two")

    def stream(self):
        chunks = self._agent().stream(user("Hello?"), THREAD, stream_mode="messages")
        includes("".join(chunk.text for chunk, _ in chunks), "user: Hello?")

    def tools(self):
        agent = self._agent(tools=[weather], system_prompt="Be brief.")
        includes(self._ask(agent, "How is the weather?"), FOUND)
        includes(self._ask(agent, "Thanks."), FOUND, "user: Thanks.")

    def structured(self):
        agent = self._agent(response_format=Report)
        reply = agent.invoke(user("How warm?"), THREAD)
        assert reply["structured_response"] == Report(city=CITY, degrees=DEGREES)

    def error(self):
        wrong = self._agent(WRONG_KEY)
        fails(lambda: self._ask(wrong, "Hello?"), AuthenticationError, "client_key_invalid")
        fails(
            lambda: self._ask(self._agent(), TOO_LONG),
            APIError,
            "message_too_long",
            "A message has at most",
        )


for api in ("responses", "chat completions"):
    play(
        client="langgraph",
        api=api,
        scenarios=Scenarios(use_responses_api=api == "responses"),
    )
