"""What people do on a page with ``useChat``, for tests.

Exchanges on a page, for tests.
"""

from collections.abc import Sequence
from typing import Any

from tests.support.fake_model import FakeModel, ModelReply
from tests.support.node import Node

State = dict[str, Any]


class Page:
    """A page in a browser, with the hook and its transport as they come from npm."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def open(self, *, strict: bool = False, automatic: bool = False, **options: Any) -> None:
        """Open or reload it; ``options`` are those of the hook."""
        await self._node.ask("open", options=options, strict=strict, automatic=automatic)
        await self._node.ask("until", **({} if options.get("resume") else {"status": "ready"}))

    async def send(self, text: str, *, body: dict[str, Any] | None = None, **more: Any) -> None:
        """Say something; ``body`` is what the app adds to the request."""
        await self._node.ask("send", message={"text": text, **more}, options={"body": body or {}})

    async def act(self, does: dict[str, Any]) -> None:
        """Do what a recording says."""
        await self._node.ask(**does)

    async def regenerate(self, **options: Any) -> None:
        await self._node.ask("regenerate", options=options)

    async def answer_tool(self, **output: Any) -> None:
        await self._node.ask("tool", output=output)

    async def stop(self) -> None:
        await self._node.ask("stop")

    async def show(self, messages: Sequence[Any]) -> None:
        await self._node.ask("show", messages=messages)

    async def until(self, **wanted: Any) -> State:
        """What it shows once it does: a ``status``, a ``text`` in the last message, and so on."""
        state: State = await self._node.ask("until", **wanted)
        return state

    async def state(self) -> State:
        state: State = await self._node.ask("state")
        return state

    async def fetch(self, path: str, **init: Any) -> dict[str, Any]:
        """What the app itself asks, such as the history."""
        answer: dict[str, Any] = await self._node.ask("fetch", path=path, init=init)
        return answer

    async def validate(self, messages: Sequence[Any]) -> None:
        """Have the package's own validation look at messages."""
        await self._node.ask("validate", messages=messages)


def shown(state: State) -> list[tuple[str, str]]:
    """Who says what on the page."""
    return [(said["role"], text_of(said)) for said in state["messages"]]


def text_of(message: dict[str, Any]) -> str:
    return "".join(part["text"] for part in message["parts"] if part["type"] == "text")


def kinds(message: dict[str, Any]) -> list[str]:
    return [part["type"] for part in message["parts"]]


def ids_of(state: State) -> list[str]:
    return [message["id"] for message in state["messages"]]


async def exchange(page: Page, fake_model: FakeModel, said: str, *reply: str) -> ModelReply:
    """Something said on the page, and the whole reply to it."""
    await page.send(said)
    return await with_reply(page, fake_model, *reply)


async def with_reply(page: Page, fake_model: FakeModel, *reply: str) -> ModelReply:
    """The whole reply to what was just asked on the page."""
    model_reply = await fake_model.next_reply()
    model_reply.say(*reply)
    model_reply.finish()
    await page.until(status="ready", text=reply[-1])
    return model_reply


async def start_exchange(page: Page, fake_model: FakeModel, said: str, *reply: str) -> ModelReply:
    """Something said on the page, and a reply that goes on after these words."""
    await page.send(said)
    model_reply = await fake_model.next_reply()
    model_reply.say(*reply)
    await page.until(status="streaming", text=reply[-1])
    return model_reply


async def stored_state(page: Page) -> State:
    """The conversation of this page as the service keeps it, for the client to start from."""
    answer = await page.fetch(f"/api/chat/{(await page.state())['id']}")
    assert answer["status"] == 200, answer
    body: State = answer["body"]
    return body


def prompt_texts(model_reply: ModelReply) -> list[tuple[str, str]]:
    """What the model was told."""
    return [(said.role.value, said.text) for said in model_reply.prompt.messages]
