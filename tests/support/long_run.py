"""A person who talks for hundreds of turns with a service whose model has a small window."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from attrs import define, evolve, field

from adapters.assistant_profile.toml_file import NEUTRAL
from adapters.system.turn_runner import TaskTurnRunner
from entrypoints.settings import Settings
from tests.architecture.sources import ROOT
from tests.support.counting_model import FORGOTTEN, PAGE_QUESTION, CountingModel
from tests.support.event_stream import text_of
from tests.support.http_client import Answer
from tests.support.model_server import model_server
from tests.support.native_client import NativeClient
from tests.support.service import UNLIMITED, running_service

WINDOW: Final = 2_048
REPLY_TOKENS: Final = 256
FACTS: Final = 10
_NAMES: Final = (
    "Miro",
    "Åsa",
    "Jürgen",
    "Niccolò",
    "Väinö",
    "Sigge",
    "Mimmi",
    "Gustav",
    "Aino",
    "Bo",
)
_LANGUAGES: Final = ("en", "fi", "sv", "de", "it")
_TEXTS: Final = [(ROOT / f"benchmarks/texts/{name}.txt").read_text("utf-8") for name in _LANGUAGES]
_PASTE: Final = 1_500
"""Characters of a long paste, about a third of what the window has room for."""


def fact(number: int) -> str:
    return f"Fact {number}: the cat is called {_NAMES[number - 1]}."


def some_words(number: int, length: int) -> str:
    """A part of a text in one of five languages."""
    text = _TEXTS[number % len(_TEXTS)]
    start = number * 97 % (len(text) - length)
    return text[start : start + length].strip() or "Well."


def page_text(number: int) -> str:
    """The page context of this turn, as it is stored."""
    return f'{{"page": "Page {number}"}}'


@define(kw_only=True)
class LongTalk:
    """One conversation, and what its history should be."""

    client: NativeClient
    runner: TaskTurnRunner
    model: CountingModel
    session_id: str = ""
    transcript: list[tuple[str, str]] = field(factory=list)

    async def send(self, text: str, page: str | None = None) -> str:
        """The reply to a message."""
        context = {} if page is None else {"context": {"page": page}}
        answer = await self.client.send(text, self.session_id or None, **context)
        reply = _reply_of(answer)
        self.session_id = answer.session_id
        self.transcript += [("user", text), ("assistant", reply)]
        return reply

    async def regenerate(self, back: int = 1, message: str | None = None) -> str:
        """Another reply to the message of ``back`` turns ago, or to ``message`` in its place."""
        numbered = (await self.history_page())["messages"]
        edit = {} if message is None else {"message": message}
        body = {"messageId": numbered[-2 * back]["id"], **edit}
        answer = await self.client.post(f"/api/chat/{self.session_id}/regenerate", body)
        reply = _reply_of(answer)
        role, text = self.transcript[-2 * back]
        self.transcript[-2 * back :] = [(role, message or text), ("assistant", reply)]
        return reply

    async def take_turn(self, number: int) -> None:
        """What happens in this turn; the first ten turns bring one fact each."""
        words = some_words(number, 40 + number * 37 % 120)
        if number <= FACTS:
            await self.send(f"{fact(number)} {words}")
        elif number % 25 == 0:
            await self.send(some_words(number, _PASTE))
        elif number % 9 == 0:
            page = await self.send(PAGE_QUESTION, f"Page {number}")
            assert page == page_text(number)
        elif number % 9 == 1:
            assert await self.send(PAGE_QUESTION) == FORGOTTEN
        else:
            await self.send(words)
        await self._change_one_s_mind(number, words)

    async def _change_one_s_mind(self, number: int, words: str) -> None:
        if number % 17 == 0:
            again = await self.regenerate()
            assert number % 9 or again == page_text(number)
        if number % 31 == 0:
            await self.regenerate(message=f"Rather this: {words}")
        if number % 47 == 0:
            await self.regenerate(back=3)

    async def take_turns(self, first: int, last: int) -> None:
        for number in range(first, last + 1):
            await self.take_turn(number)

    async def ask_for_facts(self) -> list[str]:
        return [await self.send(f"What was fact {number}?") for number in range(1, FACTS + 1)]

    async def export(self) -> dict[str, Any]:
        answer = await self.client.get(f"/api/chat/{self.session_id}/export")
        assert answer.status == 200, answer.body
        return answer.document

    async def history_page(self, **parameters: object) -> dict[str, Any]:
        return (await self.client.history(self.session_id, **parameters)).document

    async def history(self) -> list[tuple[str, str]]:
        """Role and text of every message, read page by page from the newest on."""
        page = await self.history_page()
        messages = page["messages"]
        while page["next"] is not None:
            page = await self.history_page(before=page["next"])
            messages = [*page["messages"], *messages]
        return [(message["role"], message["content"]) for message in messages]

    async def export_of_a_prompt(self) -> dict[str, Any]:
        """Send one more message; the export with the working memory that its prompt had."""
        while True:
            before = await self.export()
            await self.send("And now?")
            after = await self.export()
            # A summary may have been written in between; then another message follows.
            if all(before[name] == after[name] for name in ("summary", "workingMemoryFrom")):
                return after


def _reply_of(answer: Answer) -> str:
    assert answer.status == 200, answer.body
    assert answer.clean, answer.body
    return text_of(answer.events)


@asynccontextmanager
async def talking(
    settings: Settings = UNLIMITED, *, server_window: int = WINDOW, states_window: bool = False
) -> AsyncIterator[LongTalk]:
    """A service with a small window, and somebody who talks with it."""
    model = CountingModel(
        system_prompt=NEUTRAL.system_prompt, window=server_window, filler=some_words(3, 60)
    )
    stated = {"max_model_len": server_window} if states_window else {}
    models = {"object": "list", "data": [{"id": "counting", "object": "model", **stated}]}
    async with model_server(respond=model, models=models) as server:
        settings = evolve(settings, model_base_url=server.url, model_name="counting")
        async with running_service(settings) as service:
            client = NativeClient(service.url)
            yield LongTalk(client=client, runner=service.runner, model=model)
