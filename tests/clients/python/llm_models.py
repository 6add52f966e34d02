"""llm, with models that its configuration file adds, for both APIs."""

import json
import os
import tempfile
from pathlib import Path

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

FOLDER = tempfile.TemporaryDirectory()
os.environ["LLM_USER_PATH"] = FOLDER.name
MODEL = """
- model_id: {name}
  model_name: any
  api_base: {url}
  supports_tools: true
  supports_schema: true
  api_key_name: privity
  responses: {responses}
"""
(Path(FOLDER.name) / "keys.json").write_text(json.dumps({"privity": API_KEY}))
(Path(FOLDER.name) / "extra-openai-models.yaml").write_text(
    MODEL.format(name="responses", url=BASE_URL, responses="true")
    + MODEL.format(name="chat completions", url=BASE_URL, responses="false")
)

import llm  # noqa: E402 - reads its configuration when it is imported
import openai  # noqa: E402
from pydantic import BaseModel  # noqa: E402


class Report(BaseModel):
    city: str
    degrees: int


class Scenarios:
    def __init__(self, name):
        self._model = llm.get_model(name)

    def _prompt(self, text, **options):
        return self._model.prompt(text, stream=False, **options).text()

    def text(self):
        includes(self._prompt("Hello?"), "user: Hello?")

    def system(self):
        includes(self._prompt("Hello?", system="Rhyme."), "Rhyme.", "user: Hello?")

    def turns(self):
        conversation = self._model.conversation()
        conversation.prompt("One", stream=False).text()
        second = conversation.prompt("Two", stream=False).text()
        includes(second, "user: One", "assistant: ", "user: Two")

    def stream(self):
        includes("".join(self._model.prompt("Hello?")), "user: Hello?")

    def tools(self):
        chain = self._model.conversation(tools=[weather]).chain("How is the weather?")
        includes(chain.text(), FOUND)

    def structured(self):
        reply = json.loads(self._prompt("How warm?", schema=Report))
        assert Report(**reply) == Report(city=CITY, degrees=DEGREES)

    def error(self):
        fails(lambda: self._prompt("Hello?", key=WRONG_KEY), openai.APIError, "client_key_invalid")
        fails(lambda: self._prompt(TOO_LONG), openai.APIError, "A message has at most")


for api in ("responses", "chat completions"):
    play(client="llm", api=api, scenarios=Scenarios(api))
