"""The promises of every context window: see ``ports.context_window``."""

from collections.abc import AsyncIterator

import pytest

from ports.context_window import ContextWindow
from tests.contract.adapters import WINDOWS


@pytest.fixture(params=sorted(WINDOWS))
async def window(request: pytest.FixtureRequest) -> AsyncIterator[ContextWindow]:
    async with WINDOWS[request.param]() as window:
        yield window


async def test_a_window_is_a_number_of_tokens_or_unknown(window: ContextWindow) -> None:
    stated = await window.read()

    assert stated.tokens is None or stated.tokens >= 256
    assert stated.is_final or stated.tokens is None


async def test_the_same_server_says_the_same_twice(window: ContextWindow) -> None:
    assert await window.read() == await window.read()
