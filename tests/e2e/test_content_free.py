"""Messages, operators' secrets and client keys are never logged or repeated."""

import asyncio
import json
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.hook_server import SECRET, Planned, a_response, an_answer, fake_hook
from tests.support.http_client import Answer
from tests.support.native_client import NativeClient
from tests.support.processes import ServerProcess, serving
from tests.support.v1_client import V1Client

SENTENCE = "the-heron-sleeps-standing"
PROMPT = "only-answer-in-haiku"
MODEL_KEY = "sk-planted-model-key"
MASTER_KEY = "cGxhbnRlZC1tYXN0ZXIta2V5LW9mLTMyLWJ5dGVzISE="
PNG = "data:image/png"
IMAGE = {"type": "input_image"}
CONTENT_CHUNK = (
    b'data: {"choices":[{"index":0,"delta":{"content":"the-heron-sleeps-standing"}}]}\n\n'
)
DONE = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


def _plays(body: bytes) -> tuple[int, bytes]:
    """The model server's response; if it fails, it repeats the whole request."""
    if b"fail at once" in body:
        return 500, body
    if b"refuse me" in body:
        return 400, body
    if b"break" in body:
        return 200, CONTENT_CHUNK + b"data: {" + body + b"\n\n"
    return 200, CONTENT_CHUNK + DONE


async def _answer(reader: StreamReader, writer: StreamWriter) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    body = await reader.readexactly(length)
    newest = json.dumps(json.loads(body)["messages"][-1]).encode()
    status, played = _plays(newest)
    if status != 200:
        code = SENTENCE if status == 500 else MODEL_KEY
        error = {"code": code, "param": SENTENCE, "message": (head + body).decode()}
        played = json.dumps({"error": error}).encode()
    writer.write(
        b"HTTP/1.1 %d X\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n" % status
    )
    writer.write(played)
    writer.close()
    await writer.wait_closed()


@asynccontextmanager
async def leaky_model() -> AsyncIterator[str]:
    """A model server whose errors repeat the whole request, in every member."""
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


async def bad_requests(client: NativeClient, session_id: str) -> list[Answer]:
    """Requests with the planted text in every possible place."""
    typed = {"content_type": "application/json"}
    planted = SENTENCE.encode()
    forged = NativeClient(client.url, authorization=f"Bearer ck_{SENTENCE}")
    return [
        await client.call("POST", "/api/chat", b'{"message":"%b' % planted, **typed),
        await client.call("POST", "/api/chat", planted, content_type=f"text/{SENTENCE}"),
        await client.post("/api/chat", {"extra": SENTENCE}),
        await client.post("/api/chat", {"message": "Hi", "onBusy": SENTENCE}),
        await client.post("/api/chat", {"message": "Hi", "images": [SENTENCE]}),
        await client.post("/api/chat", {"message": "Hi", "images": [f"{PNG};{SENTENCE},"]}),
        await client.post("/api/chat", {"message": "Hi", "images": [f"{PNG};base64,{SENTENCE}"]}),
        await client.post("/api/chat", {"message": "Hi", "sessionId": SENTENCE}),
        await client.post("/api/chat", {"message": f"{SENTENCE}\0"}),
        await client.post("/api/chat", {"message": SENTENCE * 500}),
        await client.post("/api/chat", {"message": "Hi"}, idempotency_key=f"{SENTENCE} "),
        await client.post("/api/chat", {"message": "Hi"}, origin=f"https://{SENTENCE}"),
        await client.post("/api/chat", {"message": "Hi"}, origin=f"https://[{SENTENCE}"),
        await client.post(f"/api/chat/{session_id}/regenerate", {"messageId": SENTENCE}),
        await client.get(f"/api/chat/{session_id}/stream", last_event_id=SENTENCE),
        await client.get(f"/api/chat?sessionId={session_id}&before={SENTENCE}"),
        await client.get(f"/api/{SENTENCE}?{SENTENCE}={SENTENCE}"),
        await client.call("PUT", "/api/chat", planted, **typed),
        await forged.send("Hi"),
    ]


async def refused_by(program: V1Client) -> list[Answer]:
    """OpenAI requests with the planted text."""
    answer = await program.ask(SENTENCE, instructions=SENTENCE, metadata={"a": SENTENCE})
    assert answer.status == 200
    messages = [{"role": "system", "content": SENTENCE}, {"role": "user", "content": SENTENCE}]
    answer = await program.post(
        "/v1/chat/completions", {"messages": messages, "user": SENTENCE, "stop": SENTENCE}
    )
    assert answer.status == 200
    return [
        await program.ask(f"{SENTENCE} fail at once", store=False),
        await program.ask(f"{SENTENCE} refuse me"),
        await program.ask(SENTENCE, tools=[{"type": SENTENCE}]),
        await program.post("/v1/responses", {"input": [{"role": SENTENCE}]}),
        await program.ask([{"role": "user", "content": [{**IMAGE, "image_url": SENTENCE}]}]),
        await program.ask([{"role": "user", "content": [{**IMAGE, "file_id": SENTENCE}]}]),
        await program.ask([{"role": "user", "content": [{**IMAGE, "detail": SENTENCE}]}]),
        *[
            await program.post("/v1/chat/completions", {"messages": messages, "stop": SENTENCE})
            for messages in (
                [{"role": "user", "content": f"{SENTENCE} fail at once"}],
                [{"role": "user", "content": f"{SENTENCE} refuse me"}],
                [{"role": SENTENCE, "content": SENTENCE}],
            )
        ],
    ]


async def garbage(client: NativeClient) -> None:
    """Bytes that are not an HTTP request."""
    address = urlsplit(client.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(f"{SENTENCE} {SENTENCE}\r\nCookie: {client.cookie}\r\n\r\n".encode())
    await reader.read()
    writer.close()
    await writer.wait_closed()


LEAKY_ANSWERS = [
    an_answer(**{SENTENCE: SENTENCE}),
    an_answer(instructions=[SENTENCE]),
    an_answer(passages=[{"title": SENTENCE, "text": SENTENCE, "url": SENTENCE}]),
    an_answer(options={"effort": SENTENCE}),
    an_answer(tools=[f"{SENTENCE} {SENTENCE}"]),
    a_response(500, SENTENCE.encode()),
    a_response(200, SENTENCE.encode()),
    a_response(200, b"{}", content_type=f"text/{SENTENCE}"),
    Planned(raw=SENTENCE.encode(), closes=True),
    an_answer(instructions=SENTENCE, state={SENTENCE: SENTENCE}),
    an_answer(passages=[{"title": SENTENCE, "text": SENTENCE}]),
]
SETTINGS = {
    "MODEL_API_KEY": MODEL_KEY,
    "MODEL_IMAGES": "true",
    "MODEL_NAME": "leaky",
    "PRIVITY_HOOK_FAILURE": "continue",
    "PRIVITY_HOOK_SECRET": SECRET,
    "PRIVITY_KEYS": f"first:{MASTER_KEY}",
    "PRIVITY_LOG_LEVEL": "debug",
    "PRIVITY_V1": "open",
}


@asynccontextmanager
async def between_leaky_servers(folder: Path) -> AsyncIterator[tuple[ServerProcess, str]]:
    """A service whose model and hook repeat what they get, and the model's URL."""
    profile = folder / "assistant.toml"
    profile.write_text(f'system_prompt = "{PROMPT}"\nwelcome = {{ en = "Hi" }}\n')
    async with (
        leaky_model() as model,
        fake_hook(*LEAKY_ANSWERS, skips_checks=True) as hook,
        serving(
            ASSISTANT_FILE=str(profile),
            MODEL_BASE_URL=model,
            PRIVITY_HOOK_URL=hook.url,
            **SETTINGS,
        ) as server,
    ):
        yield server, model


async def test_neither_logs_nor_errors_contain_messages_or_secrets(tmp_path: Path) -> None:
    async with between_leaky_servers(tmp_path) as (server, model):
        client = NativeClient(server.url)
        good = await client.send(SENTENCE, context=SENTENCE)
        again = await client.post(f"/api/chat/{good.session_id}/regenerate", {})
        patched = await client.patch(
            f"/api/chat/{good.session_id}", {"metadata": {SENTENCE: SENTENCE}}
        )
        failed = [await client.send(f"{SENTENCE} {how}") for how in ("fail at once", "refuse me")]
        broken = await client.send(f"{SENTENCE} break")
        client_key = (await client.post("/api/client-key", {})).document["clientKey"]
        bearer = f"Bearer {client_key}"
        program = await NativeClient(server.url, authorization=bearer).send(SENTENCE)
        bad = await bad_requests(client, good.session_id)
        bad += await refused_by(V1Client(server.url, authorization=bearer))
        await garbage(client)
        server.terminate()
        ended = await server.wait()

    cookie = str(client.cookie).partition("=")[2]
    secrets = (
        *(SENTENCE, PROMPT, MODEL_KEY, MASTER_KEY, SECRET),
        *(client_key, cookie, good.session_id),
    )
    logged = ended.out + ended.err
    assert SENTENCE.encode() in good.body
    assert [one.status for one in (again, patched, *failed, broken, program)] == [200] * 6
    assert "turn.finished" in logged
    assert "turn.failed" in logged
    assert "hook.failed" in logged
    assert '"status": 500' in logged
    assert f'"host": "{urlsplit(model).netloc}"' in logged
    assert [secret for secret in secrets if secret in logged] == []
    assert all(answer.status >= 400 for answer in bad)
    responses = b"".join(answer.body for answer in (*failed, *bad)).decode()
    assert [secret for secret in secrets[:-1] if secret in responses] == []
    assert [secret for secret in (PROMPT, MODEL_KEY) if secret.encode() in broken.body] == []
