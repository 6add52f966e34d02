"""What a conversation costs when it is long: 200 and 2,000 messages, compared with 20.

    python benchmarks/long_conversations.py [ROUNDS]

One caller, a real Redis server, and a model that answers at once. The service runs in this process
and is called over HTTP; the store is called directly. In each round, all conversations are restored
and then measured in random order, so that they meet the same load. Ratios are taken within a round;
the table has their medians.
"""
# ruff: noqa: INP001 - a script

import asyncio
import json
import random
import statistics
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import punq
import uvloop
from attrs import define, field
from chats import EXCHANGES, chats
from other_stores import agents_redis
from privity_store import new_turn, with_question, with_reply
from redis.asyncio import Redis
from servers import bind_to_first_core, redis_server

from domain.model.conversation import WORKING_MEMORY
from domain.model.identifiers import ConversationRef, session_id
from domain.model.message import FinishReason, Usage
from domain.model.piece import ModelFinished, Piece, TextPiece
from domain.model.prompt import Prompt
from entrypoints.container import open_container
from entrypoints.http.app import create_app
from entrypoints.http.server import serve
from entrypoints.settings import Settings
from ports.client_keys import ClientKeys
from ports.conversation_store import ConversationStateStore
from ports.language_model import LanguageModel

SIZES = (20, 200, 2_000)
TURNS = 8
"""Turns per round; one of them merges frames."""
PAGE = 50
MAX_CHARACTERS = 100
"""Maximum length of a message. 2,000 longer ones would exceed the size limit of a conversation."""
GOALS = {"load": 2.0, "commit": 1.3, "whole turn over HTTP": 1.5}


def _exchange(number: int) -> tuple[str, str]:
    question, reply = chats()[1].exchanges[number % EXCHANGES]
    start = number * 7 % 300
    return question[:MAX_CHARACTERS], reply[start:][:MAX_CHARACTERS] or reply[:MAX_CHARACTERS]


class InstantModel:
    """Answers each prompt at once."""

    name = "instant"

    async def reply(self, prompt: Prompt) -> AsyncGenerator[Piece | ModelFinished, None]:
        yield TextPiece(_exchange(prompt.messages[-1].number)[1])
        yield ModelFinished(reason=FinishReason.STOP, usage=Usage(input_tokens=1, output_tokens=1))


@define
class Connection:
    """A connection that is kept open, and a client that costs next to nothing."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    client_key: str

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The JSON body of the answer."""
        content = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n"
            f"Authorization: Bearer {self.client_key}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\n\r\n"
        )
        self.writer.write(head.encode() + content)
        answer = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert " 200 " in answer.split("\r\n")[0], answer
        size = int(answer.split("content-length: ")[1].split("\r\n")[0])
        return json.loads(await self.reader.readexactly(size))


@define
class Measured:
    """One conversation, with a copy of it in Redis that each round starts from."""

    redis: "Redis"
    store: ConversationStateStore
    connection: Connection
    ref: ConversationRef
    turns: int = 0
    costs: dict[str, list[float]] = field(factory=dict)

    async def grow(self, messages: int) -> None:
        """Take turns until there are ``messages`` messages."""
        while (self.turns + 1) * 2 <= messages:
            await self.turn()
        key = f"conversation:state:{self.ref.session_id}"
        await self.redis.copy(key, f"saved:{key}")

    async def restore(self) -> None:
        """Remove the turns of the last round."""
        key = f"conversation:state:{self.ref.session_id}"
        await self.redis.delete(f"{{{key}}}:turn")
        await self.redis.copy(f"saved:{key}", key, replace=True)

    async def turn(self) -> None:
        """One question over HTTP, up to the end of its answer."""
        question, _ = _exchange(self.turns)
        body = {"message": question, "sessionId": self.ref.session_id}
        await self.connection.post("/api/chat", body)
        self.turns += 1

    async def measure(self) -> None:
        """One round."""
        newest = (await self.store.load(self.ref, 1)).next_number
        await self._time("load", partial(self.store.load, self.ref, WORKING_MEMORY))
        pages = {"newest": None, "middle": newest // 2, "oldest": min(PAGE, newest) + 1}
        for name, before in pages.items():
            await self._time(f"{name} page", partial(self.store.page, self.ref, before, PAGE))
        await self._commits()
        await self.restore()
        start = time.perf_counter()
        for _ in range(TURNS):
            await self.turn()
        self._add("whole turn over HTTP", (time.perf_counter() - start) / TURNS)
        await self.restore()

    async def _commits(self) -> None:
        """Commits that begin and end turns, from what is loaded already."""
        conversation = await self.store.load(self.ref, WORKING_MEMORY)
        each = []
        for number in range(TURNS):
            turn, (question, reply) = new_turn(), _exchange(number)
            for change in (with_question(turn, question), with_reply(turn, reply)):
                start = time.perf_counter()
                conversation = await self.store.update(self.ref, change, base=conversation)
                each.append(time.perf_counter() - start)
        self._add("commit", statistics.mean(each))
        self._add("slowest of 16 commits", max(each))

    async def _time(self, name: str, work: Callable[[], Awaitable[object]]) -> None:
        each = []
        for _ in range(TURNS):
            start = time.perf_counter()
            await work()
            each.append(time.perf_counter() - start)
        self._add(name, statistics.median(each))

    def _add(self, name: str, seconds: float) -> None:
        self.costs.setdefault(name, []).append(seconds * 1e6)


@asynccontextmanager
async def _service(port: int) -> AsyncIterator[tuple[str, punq.Container]]:
    """The service on this Redis server, with the instant model."""
    containers = []

    @asynccontextmanager
    async def opened(settings: Settings, **options: Any) -> AsyncIterator[punq.Container]:
        async with open_container(settings, **options) as container:
            container.register(LanguageModel, instance=InstantModel())
            containers.append(container)
            yield container

    settings = Settings(
        redis_url=f"redis://127.0.0.1:{port}/0", limits=False, keys=f"benchmark:{'a' * 43}="
    )
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stopping = asyncio.Event()
    app = create_app(settings, opened)
    options = {"host": "127.0.0.1", "port": 0, "max_connections": 64}
    serving = serve(app, **options, stopping=stopping, announce=listening.set_result)
    server = asyncio.create_task(serving)
    try:
        yield await listening, containers[0]
    finally:
        stopping.set()
        await server


async def main(rounds: str = "30") -> None:
    async with AsyncExitStack() as stack:
        port = stack.enter_context(redis_server())
        bind_to_first_core()
        url, container = await stack.enter_async_context(_service(port))
        redis = await stack.enter_async_context(agents_redis(port, 0))
        keys = container.resolve(ClientKeys)
        store = container.resolve(ConversationStateStore)
        by_size = {}
        for size in SIZES:
            key = keys.issue()
            host, _, number = url.removeprefix("http://").partition(":")
            connection = Connection(*await asyncio.open_connection(host, int(number)), key)
            first = await connection.post("/api/chat", {"message": _exchange(0)[0]})
            ref = ConversationRef(keys.authenticate(key).owner, session_id(first["sessionId"]))
            by_size[size] = Measured(redis, store, connection, ref, turns=1)
            await by_size[size].grow(size)
        for number in range(int(rounds) + 1):
            for size in random.sample(SIZES, len(SIZES)):
                await by_size[size].measure()
            if not number:
                for measured in by_size.values():
                    measured.costs.clear()
    print("| microseconds | 20 | 200 | 2,000 | 200 : 20 | 2,000 : 20 | goal |")
    print("|---|---|---|---|---|---|---|")
    for name in by_size[SIZES[0]].costs:
        print(_row(name, [by_size[size].costs[name] for size in SIZES]))


def _row(name: str, costs: list[list[float]]) -> str:
    base, *others = costs
    ratios = [
        statistics.median(large / small for small, large in zip(base, other, strict=True))
        for other in others
    ]
    cells = [f"{statistics.median(each):,.0f}" for each in costs]
    goal = f"at most {GOALS[name]}" if name in GOALS else ""
    return f"| {' | '.join([name, *cells, *(f'{ratio:.2f}' for ratio in ratios), goal])} |"


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
