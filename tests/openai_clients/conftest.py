"""A service for OpenAI's clients, and somebody with a key of their own."""

from collections.abc import AsyncIterator, Iterator

import openai
import pytest

from tests.support.http_client import Client
from tests.support.service import GENEROUS, running_service_in_thread
from tests.support.tool_model import Clerk


@pytest.fixture(scope="session")
def office() -> Iterator[str]:
    """A service whose model is a clerk."""
    with running_service_in_thread(GENEROUS, Clerk()) as url:
        yield url


@pytest.fixture
async def api_key(office: str) -> str:
    """A client key of somebody new."""
    return await new_key(office)


@pytest.fixture
async def client(office: str, api_key: str) -> AsyncIterator[openai.AsyncOpenAI]:
    """OpenAI's client, as anybody would set it up."""
    async with openai.AsyncOpenAI(base_url=f"{office}/v1", api_key=api_key) as client:
        yield client


async def new_key(url: str) -> str:
    answer = await Client(url).post("/api/client-key", {})
    return str(answer.document["clientKey"])
