"""A page with ``useChat``: what its user does, and what the page shows."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from tests.support.fake_model import FakeModel, ModelReply
from tests.support.node import Node

State = dict[str, Any]


class Page:
    """A page in a browser, with the hook and its transport from npm."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def open(
        self,
        *,
        strict: bool = False,
        automatic: bool = False,
        tools: Mapping[str, Any] = MappingProxyType({}),
        **options: Any,
    ) -> None:
        """Open or reload the page; ``options`` are those of the hook.

        ``tools`` are the outputs of the tools that the page runs by itself, by their names.
        """
        page = {"options": options, "strict": strict, "automatic": automatic, "tools": {**tools}}
        await self._node.call("open", **page)
        await self._node.call("until", **({} if options.get("resume") else {"status": "ready"}))

    async def send(self, text: str, *, body: dict[str, Any] | None = None, **more: Any) -> None:
        """Send a message; ``body`` is what the app adds to the request."""
        await self._node.call("send", message={"text": text, **more}, options={"body": body or {}})

    async def continue_reply(self, *, body: dict[str, Any]) -> None:
        """``sendMessage()`` without a message."""
        await self._node.call("send", options={"body": body})

    async def act(self, action: dict[str, Any]) -> None:
        """Repeat a recorded action."""
        await self._node.call(**action)

    async def regenerate(self, **options: Any) -> None:
        await self._node.call("regenerate", options=options)

    async def answer_tool(self, **output: Any) -> None:
        await self._node.call("tool", output=output)

    async def stop(self) -> None:
        await self._node.call("stop")

    async def show(self, messages: Sequence[Any]) -> None:
        await self._node.call("show", messages=messages)

    async def until(self, **conditions: Any) -> State:
        """Wait for a ``status``, a ``text`` in the last message, and so on; return the state."""
        state: State = await self._node.call("until", **conditions)
        return state

    async def state(self) -> State:
        state: State = await self._node.call("state")
        return state

    async def fetch(self, path: str, **init: Any) -> dict[str, Any]:
        """The response to a request of the app itself, such as for the history."""
        answer: dict[str, Any] = await self._node.call("fetch", path=path, init=init)
        return answer

    async def validate(self, messages: Sequence[Any]) -> None:
        """Check messages with the package's own validation."""
        await self._node.call("validate", messages=messages)


def shown(state: State) -> list[tuple[str, str]]:
    """Role and text of each message on the page."""
    return [(message["role"], text_of(message)) for message in state["messages"]]


def text_of(message: dict[str, Any]) -> str:
    return "".join(part["text"] for part in message["parts"] if part["type"] == "text")


def kinds(message: dict[str, Any]) -> list[str]:
    return [part["type"] for part in message["parts"]]


def ids_of(state: State) -> list[str]:
    return [message["id"] for message in state["messages"]]


async def exchange(page: Page, fake_model: FakeModel, text: str, *reply: str) -> ModelReply:
    """Send a message on the page and give it a complete reply."""
    await page.send(text)
    return await complete_reply(page, fake_model, *reply)


async def complete_reply(page: Page, fake_model: FakeModel, *reply: str) -> ModelReply:
    """Give a complete reply to the request that the page just sent."""
    model_reply = await fake_model.next_reply()
    model_reply.send_text(*reply)
    model_reply.finish()
    await page.until(status="ready", text=reply[-1])
    return model_reply


async def start_exchange(page: Page, fake_model: FakeModel, text: str, *reply: str) -> ModelReply:
    """Send a message on the page and begin a reply that is not complete yet."""
    await page.send(text)
    model_reply = await fake_model.next_reply()
    model_reply.send_text(*reply)
    await page.until(status="streaming", text=reply[-1])
    return model_reply


async def stored_state(page: Page) -> State:
    """The conversation of this page as the service stores it, for the client to start from."""
    answer = await page.fetch(f"/api/chat/{(await page.state())['id']}")
    assert answer["status"] == 200, answer
    body: State = answer["body"]
    return body


def prompt_texts(model_reply: ModelReply) -> list[tuple[str, str]]:
    """Role and text of each message in the prompt."""
    return [(message.role.value, message.text) for message in model_reply.prompt.messages]
