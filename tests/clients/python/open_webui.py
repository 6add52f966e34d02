"""Open WebUI: the requests that its backend sends, written down from its source.

``RELEASE`` is the release whose ``routers/openai.py``, ``routers/tasks.py`` and
``utils/middleware.py`` were read. The web application itself is not run.
"""

import json
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from scenarios import (
    API_KEY,
    BASE_URL,
    FOUND,
    TOO_LONG,
    WEATHER,
    WRONG_KEY,
    includes,
    play,
    weather,
)

RELEASE = "0.12.4"
SPEC = {"name": "weather", "description": "The weather in a city.", "parameters": WEATHER}


def send(path, body=None, key=API_KEY):
    """Returns the status and the document, or the list of a stream's documents."""
    request = Request(
        f"{BASE_URL}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {key}"},
    )
    try:
        with urlopen(request) as response:
            if response.headers["content-type"].startswith("text/event-stream"):
                return response.status, list(_documents(response))
            return response.status, json.load(response)
    except HTTPError as error:
        return error.code, json.load(error)


def _documents(response):
    for line in response:
        if line.startswith(b"data: ") and line.strip() != b"data: [DONE]":
            yield json.loads(line.removeprefix(b"data: "))


def user(text):
    return {"role": "user", "content": text}


def model():
    """The name in the list of models, from which the user of Open WebUI chooses."""
    _, models = send("/models")
    return models["data"][0]["id"]


class ChatCompletions:
    def _chat(self, *messages, key=API_KEY, **members):
        """A message of a chat: always a stream, with the usage at its end."""
        body = {
            "stream": True,
            "model": model(),
            "messages": [*messages],
            "stream_options": {"include_usage": True},
            **members,
        }
        return send("/chat/completions", body, key)

    def _deltas(self, *messages, **members):
        status, chunks = self._chat(*messages, **members)
        assert status == 200, chunks
        assert chunks[-1]["usage"]["total_tokens"] > 0
        return [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]

    def _text(self, *messages, **members):
        return "".join(delta.get("content") or "" for delta in self._deltas(*messages, **members))

    def text(self):
        """The title, the tags and the suggestions of a chat are not streamed."""
        body = {
            "model": model(),
            "messages": [user("Suggest a title.")],
            "stream": False,
            "max_tokens": 1_000,
        }
        status, completion = send("/chat/completions", body)
        assert status == 200, completion
        includes(completion["choices"][0]["message"]["content"], "user: Suggest a title.")

    def system(self):
        includes(self._text({"role": "system", "content": "Rhyme."}, user("Hello?")), "Rhyme.")

    def turns(self):
        reply = {"role": "assistant", "content": self._text(user("One"))}
        includes(
            self._text(user("One"), reply, user("Two")), "user: One", "assistant: ", "user: Two"
        )

    def stream(self):
        """With the parameters that a user can set for a chat."""
        text = self._text(
            user("Hello?"),
            temperature=0.8,
            top_p=0.9,
            max_tokens=128,
            frequency_penalty=0.1,
            presence_penalty=0.1,
            seed=1,
            stop=["END"],
            reasoning_effort="low",
        )
        includes(text, "user: Hello?")

    def tools(self):
        question, tools = user("How is the weather?"), [{"type": "function", "function": SPEC}]
        parts = [
            part
            for delta in self._deltas(question, tools=tools)
            for part in delta.get("tool_calls", [])
        ]
        assert {part["index"] for part in parts} == {0}
        call = {
            "id": parts[0]["id"],
            "type": "function",
            "function": {
                "name": parts[0]["function"]["name"],
                "arguments": "".join(part["function"].get("arguments", "") for part in parts),
            },
        }
        result = weather(**json.loads(call["function"]["arguments"]))
        text = self._text(
            question,
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call["id"], "content": result},
            tools=tools,
        )
        includes(text, FOUND)

    def error(self):
        """Open WebUI shows the message of the error."""
        for key, text, code in (
            (WRONG_KEY, "Hello?", "client_key_invalid"),
            (API_KEY, TOO_LONG, "message_too_long"),
        ):
            status, document = self._chat(user(text), key=key)
            assert status >= 400
            assert document["error"]["code"] == code
            assert document["error"]["message"]


class Responses:
    """For a connection with the API type *Responses*."""

    def _respond(self, *items, key=API_KEY, **members):
        body = {"stream": True, "model": model(), "input": [*items], **members}
        return send("/responses", body, key)

    def _final(self, *items, **members):
        status, events = self._respond(*items, **members)
        assert status == 200, events
        assert events[-1]["type"] == "response.completed"
        return events[-1]["response"]["output"], events

    def _text(self, *items, **members):
        _, events = self._final(*items, **members)
        return "".join(
            event["delta"] for event in events if event["type"] == "response.output_text.delta"
        )

    def _message(self, role, text):
        kind = "output_text" if role == "assistant" else "input_text"
        return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}

    def text(self):
        body = {
            "model": model(),
            "stream": False,
            "input": [self._message("user", "Suggest a title.")],
            "max_output_tokens": 1_000,
        }
        status, response = send("/responses", body)
        assert status == 200, response
        includes(response["output"][-1]["content"][0]["text"], "user: Suggest a title.")

    def system(self):
        includes(self._text(self._message("user", "Hello?"), instructions="Rhyme."), "Rhyme.")

    def turns(self):
        one, two = self._message("user", "One"), self._message("user", "Two")
        reply = self._message("assistant", self._text(one))
        includes(self._text(one, reply, two), "user: One", "assistant: ", "user: Two")

    def stream(self):
        text = self._text(self._message("user", "Hello?"), temperature=0.8, top_p=0.9)
        includes(text, "user: Hello?")

    def tools(self):
        question, tools = (
            self._message("user", "How is the weather?"),
            [{"type": "function", **SPEC, "strict": False}],
        )
        output, _ = self._final(question, tools=tools)
        (call,) = [item for item in output if item["type"] == "function_call"]
        text = self._text(
            question,
            {name: call[name] for name in ("type", "call_id", "name", "arguments")},
            {
                "type": "function_call_output",
                "call_id": call["call_id"],
                "output": [
                    {"type": "input_text", "text": weather(**json.loads(call["arguments"]))}
                ],
            },
            tools=tools,
        )
        includes(text, FOUND)

    def error(self):
        for key, text, code in (
            (WRONG_KEY, "Hello?", "client_key_invalid"),
            (API_KEY, TOO_LONG, "message_too_long"),
        ):
            status, document = self._respond(self._message("user", text), key=key)
            assert status >= 400
            assert document["error"]["code"] == code


for api, scenarios in {"responses": Responses(), "chat completions": ChatCompletions()}.items():
    play(client="open-webui", release=RELEASE, api=api, scenarios=scenarios)
