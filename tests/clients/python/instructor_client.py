"""Instructor with the openai package and both APIs. Each of its replies is structured."""

import instructor
from instructor.core import InstructorRetryException
from openai import OpenAI
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
    play,
)


class Report(BaseModel):
    city: str
    degrees: int


def user(text):
    return {"role": "user", "content": text}


class Scenarios:
    def __init__(self, *modes):
        self._modes = modes

    def _clients(self, key=API_KEY):
        for mode in self._modes:
            yield instructor.from_openai(OpenAI(base_url=BASE_URL, api_key=key), mode=mode)

    def _ask(self, client, *messages):
        return client.create(
            model=MODEL, messages=[*messages], response_model=Report, max_retries=1
        )

    def system(self):
        system = {"role": "system", "content": "Rhyme."}
        for client in self._clients():
            assert self._ask(client, system, user("How is the weather?")).city == CITY

    def stream(self):
        for client in self._clients():
            *_, last = client.create_partial(
                model=MODEL, messages=[user("How is the weather?")], response_model=Report
            )
            assert last.model_dump() == {"city": CITY, "degrees": DEGREES}

    def structured(self):
        for client in self._clients():
            report = self._ask(client, user("How is the weather?"))
            assert report.model_dump() == {"city": CITY, "degrees": DEGREES}

    def error(self):
        for client in self._clients(WRONG_KEY):
            fails(
                lambda client=client: self._ask(client, user("Hello?")),
                InstructorRetryException,
                "client_key_invalid",
            )
        for client in self._clients():
            fails(
                lambda client=client: self._ask(client, user(TOO_LONG)),
                InstructorRetryException,
                "A message has at most",
            )


Mode = instructor.Mode
for api, scenarios in {
    "responses": Scenarios(Mode.RESPONSES_TOOLS),
    "chat completions": Scenarios(Mode.TOOLS, Mode.JSON_SCHEMA, Mode.JSON),
}.items():
    play(client="instructor", api=api, scenarios=scenarios)
