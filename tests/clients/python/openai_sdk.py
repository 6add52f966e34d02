"""The openai package: Responses, Chat Completions and Conversations."""

from openai import APIError, AuthenticationError, NotFoundError, OpenAI, pydantic_function_tool
from pydantic import BaseModel
from scenarios import (
    API_KEY,
    BASE_URL,
    CITY,
    DEGREES,
    FOUND,
    MODEL,
    TOO_LONG,
    WEATHER,
    WRONG_KEY,
    fails,
    includes,
    play,
    weather,
)

client = OpenAI(base_url=BASE_URL, api_key=API_KEY)
stranger = OpenAI(base_url=BASE_URL, api_key=WRONG_KEY)

TOOL = {
    "type": "function",
    "name": "weather",
    "description": "The weather in a city.",
    "parameters": WEATHER,
    "strict": True,
}


class Report(BaseModel):
    city: str
    degrees: int


class Responses:
    def text(self):
        response = client.responses.create(model=MODEL, input="Hello?")
        includes(response.output_text, "user: Hello?")
        assert response.status == "completed"

    def system(self):
        user = {"role": "user", "content": "Hello?"}
        system = [{"role": "system", "content": "Rhyme."}, user]
        includes(client.responses.create(model=MODEL, input=system).output_text, "Rhyme.", "Hello?")
        developer = client.responses.create(
            model=MODEL,
            instructions="Be brief.",
            input=[{"role": "developer", "content": "Rhyme."}, user],
        )
        includes(developer.output_text, "Be brief.", "Rhyme.", "user: Hello?")

    def turns(self):
        first = client.responses.create(model=MODEL, input="One")
        second = client.responses.create(model=MODEL, previous_response_id=first.id, input="Two")
        includes(second.output_text, "user: One", "assistant: ", "user: Two")
        history = [
            {"role": "user", "content": "One"}, *first.output, {"role": "user", "content": "Two"}
        ]  # fmt: skip
        whole = client.responses.create(model=MODEL, input=history)
        includes(whole.output_text, "user: One", "assistant: ", "user: Two")

    def stream(self):
        with client.responses.stream(model=MODEL, input="Hello?") as stream:
            text = "".join(
                event.delta for event in stream if event.type == "response.output_text.delta"
            )
            includes(text, "user: Hello?")
            assert stream.get_final_response().output_text == text

    def tools(self):
        question = {"role": "user", "content": "How is the weather?"}
        first = client.responses.create(model=MODEL, input=[question], tools=[TOOL])
        (call,) = [item for item in first.output if item.type == "function_call"]
        result = {
            "type": "function_call_output", "call_id": call.call_id, "output": weather(CITY)
        }  # fmt: skip
        second = client.responses.create(
            model=MODEL, input=[result], tools=[TOOL], previous_response_id=first.id
        )
        includes(second.output_text, FOUND)
        whole = client.responses.create(
            model=MODEL, input=[question, *first.output, result], tools=[TOOL], store=False
        )
        includes(whole.output_text, FOUND)

    def structured(self):
        response = client.responses.parse(model=MODEL, input="How warm?", text_format=Report)
        assert response.output_parsed == Report(city=CITY, degrees=DEGREES)

    def error(self):
        def ask(of, text):
            return lambda: of.responses.create(model=MODEL, input=text)

        fails(ask(stranger, "Hello?"), AuthenticationError, "client_key_invalid")
        fails(ask(client, TOO_LONG), APIError, "message_too_long", "A message has at most")


class ChatCompletions:
    def text(self):
        includes(_complete([{"role": "user", "content": "Hello?"}]).content, "user: Hello?")

    def system(self):
        for role in ("system", "developer"):
            messages = [{"role": role, "content": "Rhyme."}, {"role": "user", "content": "Hello?"}]
            includes(_complete(messages).content, "Rhyme.", "user: Hello?")

    def turns(self):
        messages = [{"role": "user", "content": "One"}]
        messages += [_complete(messages), {"role": "user", "content": "Two"}]
        includes(_complete(messages).content, "user: One", "assistant: ", "user: Two")

    def stream(self):
        with client.chat.completions.stream(
            model=MODEL,
            messages=[{"role": "user", "content": "Hello?"}],
            stream_options={"include_usage": True},
        ) as stream:
            text = "".join(event.delta for event in stream if event.type == "content.delta")
            final = stream.get_final_completion()
        includes(text, "user: Hello?")
        assert final.choices[0].message.content == text
        assert final.usage.total_tokens > 0

    def tools(self):
        class Weather(BaseModel):
            city: str

        tools = [pydantic_function_tool(Weather, name="weather")]
        messages = [{"role": "user", "content": "How is the weather?"}]
        calling = _complete(messages, tools=tools)
        results = [
            {"role": "tool", "tool_call_id": call.id, "content": weather(CITY)}
            for call in calling.tool_calls
        ]
        includes(_complete([*messages, calling, *results], tools=tools).content, FOUND)

    def structured(self):
        completion = client.chat.completions.parse(
            model=MODEL,
            messages=[{"role": "user", "content": "How warm?"}],
            response_format=Report,
        )
        assert completion.choices[0].message.parsed == Report(city=CITY, degrees=DEGREES)

    def error(self):
        def ask(of, text):
            return lambda: _complete([{"role": "user", "content": text}], of=of)

        fails(ask(stranger, "Hello?"), AuthenticationError, "client_key_invalid")
        fails(ask(client, TOO_LONG), APIError, "message_too_long", "A message has at most")


class Conversations:
    def text(self):
        conversation = client.conversations.create()
        response = client.responses.create(
            model=MODEL, conversation=conversation.id, input="Hello?"
        )
        assert _texts(conversation.id) == ["Hello?", response.output_text]
        assert client.conversations.delete(conversation.id).deleted
        fails(
            lambda: client.conversations.retrieve(conversation.id),
            NotFoundError,
            "conversation_not_found",
        )

    def system(self):
        conversation = client.conversations.create(items=[{"role": "system", "content": "Rhyme."}])
        for text in ("One", "Two"):
            response = client.responses.create(
                model=MODEL, conversation=conversation.id, input=text
            )
            includes(response.output_text, "Rhyme.", f"user: {text}")
        assert _texts(conversation.id)[0] == "Rhyme."

    def turns(self):
        conversation = client.conversations.create(metadata={"topic": "tea"})
        client.responses.create(model=MODEL, conversation=conversation.id, input="One")
        second = client.responses.create(model=MODEL, conversation=conversation.id, input="Two")
        includes(second.output_text, "user: One", "assistant: ", "user: Two")
        assert client.conversations.retrieve(conversation.id).metadata == {"topic": "tea"}

    def stream(self):
        conversation = client.conversations.create()
        with client.responses.stream(
            model=MODEL, conversation=conversation.id, input="Hello?"
        ) as stream:
            final = stream.get_final_response()
        assert _texts(conversation.id) == ["Hello?", final.output_text]

    def tools(self):
        turn = {"model": MODEL, "conversation": client.conversations.create().id, "tools": [TOOL]}
        first = client.responses.create(**turn, input="How is the weather?")
        (call,) = [item for item in first.output if item.type == "function_call"]
        result = {
            "type": "function_call_output", "call_id": call.call_id, "output": weather(CITY)
        }  # fmt: skip
        includes(client.responses.create(**turn, input=[result]).output_text, FOUND)

    def structured(self):
        conversation = client.conversations.create()
        response = client.responses.parse(
            model=MODEL, conversation=conversation.id, input="How warm?", text_format=Report
        )
        assert response.output_parsed == Report(city=CITY, degrees=DEGREES)

    def error(self):
        fails(stranger.conversations.create, AuthenticationError, "client_key_invalid")
        fails(
            lambda: client.conversations.retrieve(f"conv_{'0' * 32}"),
            NotFoundError,
            "conversation_not_found",
        )


def _complete(messages, of=client, **parameters):
    completion = of.chat.completions.create(model=MODEL, messages=messages, **parameters)
    return completion.choices[0].message


def _texts(conversation):
    items = client.conversations.items.list(conversation, order="asc")
    return [item.content[0].text for item in items]


for api, scenarios in {
    "responses": Responses(),
    "chat completions": ChatCompletions(),
    "conversations": Conversations(),
}.items():
    play(client="openai", api=api, scenarios=scenarios)
