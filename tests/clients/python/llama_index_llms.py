"""LlamaIndex: its OpenAI and OpenAILike packages, each with both APIs."""

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAI, OpenAIResponses
from llama_index.llms.openai_like import OpenAILike, OpenAILikeResponses
from openai import APIError, AuthenticationError
from pydantic import BaseModel
from scenarios import (
    API_KEY,
    BASE_URL,
    CITY,
    DEGREES,
    FOUND,
    TOO_LONG,
    WRONG_KEY,
    fails,
    includes,
    play,
    weather,
)

# LlamaIndex refuses names that are not OpenAI's. Privity ignores the name.
MODEL = "gpt-4o-mini"
TOOL = FunctionTool.from_defaults(weather)


class Report(BaseModel):
    """The weather in a city."""

    city: str
    degrees: int


def user(text):
    return ChatMessage(role="user", content=text)


class Scenarios:
    def __init__(self, kind, **options):
        self._kind = kind
        self._options = options
        self._llm = self._llm_with(API_KEY)

    def _llm_with(self, key):
        return self._kind(
            model=MODEL, api_base=BASE_URL, api_key=key, max_retries=0, **self._options
        )

    def text(self):
        includes(self._llm.chat([user("Hello?")]).message.content, "user: Hello?")

    def system(self):
        messages = [ChatMessage(role="system", content="Rhyme."), user("Hello?")]
        includes(self._llm.chat(messages).message.content, "Rhyme.", "user: Hello?")

    def turns(self):
        messages = [user("One")]
        messages += [self._llm.chat(messages).message, user("Two")]
        reply = self._llm.chat(messages).message
        includes(reply.content, "user: One", "assistant: ", "user: Two")

    def stream(self):
        text = "".join(chunk.delta or "" for chunk in self._llm.stream_chat([user("Hello?")]))
        includes(text, "user: Hello?")

    async def tools(self):
        messages = [user("How is the weather?")]
        calling = self._llm.chat_with_tools([TOOL], chat_history=messages)
        messages.append(calling.message)
        messages += [
            ChatMessage(
                role="tool",
                content=weather(**call.tool_kwargs),
                additional_kwargs={"tool_call_id": call.tool_id},
            )
            for call in self._llm.get_tool_calls_from_response(calling)
        ]
        answer = self._llm.chat_with_tools([TOOL], chat_history=messages)
        includes(answer.message.content, FOUND)
        agent = FunctionAgent(tools=[weather], llm=self._llm_with(API_KEY))
        includes(str(await agent.run("How is the weather?")), FOUND)

    def structured(self):
        reply = self._llm.as_structured_llm(Report).chat([user("How is the weather?")])
        assert reply.raw == Report(city=CITY, degrees=DEGREES)

    def error(self):
        wrong = self._llm_with(WRONG_KEY)
        fails(lambda: wrong.chat([user("Hello?")]), AuthenticationError, "client_key_invalid")
        fails(
            lambda: self._llm.chat([user(TOO_LONG)]),
            APIError,
            "message_too_long",
            "A message has at most",
        )


LIKE = {"is_chat_model": True, "is_function_calling_model": True}
for client, api, scenarios in (
    ("llama-index-llms-openai", "responses", Scenarios(OpenAIResponses)),
    ("llama-index-llms-openai", "chat completions", Scenarios(OpenAI)),
    ("llama-index-llms-openai-like", "responses", Scenarios(OpenAILikeResponses, **LIKE)),
    ("llama-index-llms-openai-like", "chat completions", Scenarios(OpenAILike, **LIKE)),
):
    play(client=client, api=api, scenarios=scenarios)
