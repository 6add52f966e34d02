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
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import punq
import uvloop
from attrs import define, field, frozen
from chats import EXCHANGES, chats
from other_stores import agents_redis
from privity_store import new_turn, with_question, with_reply
from redis.asyncio import Redis
from servers import bind_to_first_core, redis_server

from domain.model.conversation import WORKING_MEMORY
from domain.model.identifiers import ConversationRef, session_id
from domain.model.message import FinishReason, Usage
from domain.model.piece import ModelFinished, ModelPiece, TextPiece
from domain.model.prompt import Prompt
from entrypoints.container import open_container
from entrypoints.http.app import create_app
from entrypoints.http.server import serve
from entrypoints.logging_setup import set_up_logging
from entrypoints.settings import Settings
from ports.client_keys import ClientKeys
from ports.conversation_store import Change, ConversationStateStore
from ports.language_model import LanguageModel

SIZES = (20, 200, 2_000)
TURNS = 8
"""Turns per round; one of them merges frames."""
PAGE = 10
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

    async def reply(self, prompt: Prompt) -> AsyncGenerator[ModelPiece | ModelFinished, None]:
        yield TextPiece(_exchange(prompt.messages[-1].number)[1])
        yield ModelFinished(reason=FinishReason.STOP, usage=Usage(input_tokens=1, output_tokens=1))


@define
class Connection:
    """A client that costs next to nothing, with one connection."""

    url: str
    client_key: str
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None

    async def renew(self) -> None:
        """Replace the connection, which the service closes when it was idle for some seconds."""
        if self.writer is not None:
            self.writer.close()
        host, _, port = self.url.removeprefix("http://").partition(":")
        self.reader, self.writer = await asyncio.open_connection(host, int(port))

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The JSON body of the answer."""
        assert self.reader is not None
        assert self.writer is not None
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


@frozen
class Cost:
    """Microseconds: elapsed, and CPU time of this process."""

    elapsed: float
    cpu: float


@define
class Measured:
    """One conversation, with a copy of it in Redis that each round starts from."""

    redis: "Redis"
    store: ConversationStateStore
    connection: Connection
    ref: ConversationRef
    turns: int = 0
    costs: dict[str, list[Cost]] = field(factory=dict)

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
        await self.connection.renew()
        newest = (await self.store.load(self.ref, 1)).next_number
        await self._time("load", partial(self.store.load, self.ref, WORKING_MEMORY))
        pages = {"newest": None, "middle": newest // 2, "oldest": min(PAGE, newest) + 1}
        for name, before in pages.items():
            await self._time(f"{name} page", partial(self.store.page, self.ref, before, PAGE))
        await self._commits()
        await self.restore()
        self._add("whole turn over HTTP", [await _cost_of(self.turn) for _ in range(TURNS)])
        await self.restore()

    async def _commits(self) -> None:
        """Commits that begin and end turns, from what is loaded already."""
        conversation = await self.store.load(self.ref, WORKING_MEMORY)
        each = []

        async def commit(change: Change) -> None:
            nonlocal conversation
            conversation = await self.store.update(self.ref, change, base=conversation)

        for number in range(TURNS):
            turn, (question, reply) = new_turn(), _exchange(number)
            each.append(await _cost_of(partial(commit, with_question(turn, question))))
            each.append(await _cost_of(partial(commit, with_reply(turn, reply))))
        self._add("commit", each)
        self._add("slowest of 16 commits", [max(each, key=lambda cost: cost.cpu)])

    async def _time(self, name: str, work: Callable[[], Awaitable[object]]) -> None:
        self._add(name, [await _cost_of(work) for _ in range(TURNS)])

    def _add(self, name: str, costs: Sequence[Cost]) -> None:
        cost = Cost(
            statistics.mean(cost.elapsed for cost in costs),
            statistics.mean(cost.cpu for cost in costs),
        )
        self.costs.setdefault(name, []).append(cost)


async def _cost_of(work: Callable[[], Awaitable[object]]) -> Cost:
    start, cpu = time.perf_counter(), time.process_time()
    await work()
    return Cost((time.perf_counter() - start) * 1e6, (time.process_time() - cpu) * 1e6)


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
    set_up_logging("error")
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
            connection = Connection(url, key)
            await connection.renew()
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
    print(
        "| | CPU µs, 20 | 200 | 2,000 | CPU, 200 : 20 | 2,000 : 20 | elapsed, 2,000 : 20 | goal |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name in by_size[SIZES[0]].costs:
        print(_row(name, [by_size[size].costs[name] for size in SIZES]))


def _row(name: str, costs: list[list[Cost]]) -> str:
    cpu = [[cost.cpu for cost in each] for each in costs]
    elapsed = [[cost.elapsed for cost in each] for each in costs]
    ratios = (_ratio(cpu[0], cpu[1]), _ratio(cpu[0], cpu[2]), _ratio(elapsed[0], elapsed[2]))
    cells = [*(f"{statistics.median(each):,.0f}" for each in cpu), *(f"{r:.2f}" for r in ratios)]
    goal = f"at most {GOALS[name]}" if name in GOALS else ""
    return f"| {' | '.join([name, *cells, goal])} |"


def _ratio(base: list[float], other: list[float]) -> float:
    return statistics.median(large / small for small, large in zip(base, other, strict=True))


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
