"""The recipe for an app with a login of its own."""

import asyncio
import base64
import os
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from entrypoints.settings import Settings
from tests.architecture.sources import ROOT
from tests.support.fake_model import EchoModel, FakeModel
from tests.support.http_client import Client
from tests.support.native_client import NativeClient
from tests.support.redis_servers import free_port
from tests.support.service import running_service

BEHIND_THE_APP = Settings(proxies=1, limits=False)


@pytest.fixture
async def app(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The URL of the app, in front of a service with the model of the test."""
    port = free_port()
    async with running_service(BEHIND_THE_APP, model=request.param) as service:
        command = ("-m", "uvicorn", "--app-dir", "examples", "own_login:app", "--port", str(port))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *command),
            cwd=ROOT,
            env={**os.environ, "PRIVITY_URL": service.url},
            stdout=DEVNULL,
            stderr=DEVNULL,
        )
        try:
            await _until_listening(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            await process.wait()


async def _until_listening(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.02)


def user(url: str, name: str, password: str) -> NativeClient:
    login = base64.b64encode(f"{name}:{password}".encode()).decode()
    return NativeClient(url, authorization=f"Basic {login}")


@pytest.mark.parametrize("app", [EchoModel()], indirect=True)
async def test_each_user_has_conversations_of_their_own(app: str) -> None:
    alice, bob = user(app, "alice", "secret"), user(app, "bob", "hidden")
    first = await alice.send("My name is Alice")
    second = await alice.send("Who am I?", first.session_id)
    own = await alice.history(first.session_id)
    foreign = await bob.history(first.session_id)
    deleted = await alice.delete(f"/api/chat?sessionId={first.session_id}")

    assert second.session_id == first.session_id
    assert len(own.document["messages"]) == 4
    assert (foreign.status, foreign.code) == (404, "conversation_not_found")
    assert deleted.status == 204


@pytest.mark.parametrize("app", [EchoModel()], indirect=True)
async def test_nobody_gets_in_without_a_login(app: str) -> None:
    stranger = await Client(app).post("/api/chat", {"message": "Hello?"})
    impostor = await user(app, "alice", "guessed").post("/api/chat", {"message": "Hello?"})

    assert (stranger.status, impostor.status) == (401, 401)


@pytest.mark.parametrize("app", [FakeModel()], indirect=True)
async def test_a_reply_passes_piece_by_piece(app: str, request: pytest.FixtureRequest) -> None:
    model: FakeModel = request.node.callspec.params["app"]
    async with user(app, "alice", "secret").streaming("Hello?") as live:
        reply = await model.next_reply()
        reply.send_text("One ")
        first = (await live.until("text-delta"))[-1]
        reply.send_text("two")
        reply.finish()
        answer = await live.whole()

    assert first.document["delta"] == "One "
    assert answer.clean
