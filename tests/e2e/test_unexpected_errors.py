"""Unexpected errors are logged by class and source line, never by message."""

import logging
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from io import StringIO

import punq
import pytest

from domain.model.piece import ModelFinished, ModelPiece, TextPiece
from domain.model.prompt import Prompt
from ports.conversation_store import ConversationStateStore
from tests.support.event_stream import kinds
from tests.support.logs import logging_at
from tests.support.native_client import NativeClient
from tests.support.service import running_service

SENTENCE = "the-heron-sleeps-standing"


class LeakyStore:
    """Fails with an error that quotes the user's message."""

    def __getattr__(self, name: str) -> Callable[..., Awaitable[object]]:
        async def failing(*_: object, **__: object) -> object:
            raise RuntimeError(f"{name} {SENTENCE}")

        return failing


class LeakyModel:
    """Streams a piece, then fails with an error that quotes the user's message."""

    name = "leaky"

    async def reply(self, prompt: Prompt) -> AsyncGenerator[ModelPiece | ModelFinished, None]:
        yield TextPiece("Hm")
        raise RuntimeError(prompt.messages[-1].text)


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """Returns what a service at debug level has logged so far."""
    stderr = StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    with logging_at("debug"):
        yield stderr.getvalue


async def test_an_unexpected_error_of_a_request_reveals_nothing(logged: Callable[[], str]) -> None:
    def leaking(container: punq.Container) -> None:
        container.register(ConversationStateStore, instance=LeakyStore())

    async with running_service(replacing=leaking) as service:
        answer = await NativeClient(service.url).send(SENTENCE)

    log = logged()
    assert (answer.status, answer.code) == (500, "internal_error")
    assert SENTENCE not in answer.body.decode() + log
    assert "set-cookie" not in answer.headers
    assert '"kind": "RuntimeError", "at": "test_unexpected_errors.py:' in log


async def test_an_unexpected_error_of_a_reply_reveals_nothing(logged: Callable[[], str]) -> None:
    async with running_service(model=LeakyModel()) as service:
        client = NativeClient(service.url)
        answer = await client.send(SENTENCE)
        turn = await client.turn(answer.session_id)

    assert kinds(answer.events)[-1] == "error"
    assert not answer.clean
    assert turn["status"] == "failed"
    assert SENTENCE not in answer.body.decode() + logged()


async def test_library_exceptions_are_logged_only_by_class(logged: Callable[[], str]) -> None:
    try:
        int(SENTENCE)
    except ValueError:
        logging.getLogger("library").exception("failed")

    log = logged()
    assert '"event": "failed"' in log
    assert '"kind": "ValueError"' in log
    assert SENTENCE not in log
