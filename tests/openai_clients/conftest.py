"""A service for OpenAI's clients, and a client with a key of its own."""

from collections.abc import AsyncIterator, Iterator

import openai
import pytest

from tests.support.http_client import Client
from tests.support.service import UNLIMITED, running_service_in_thread
from tests.support.tool_model import ToolModel


@pytest.fixture(scope="session")
def service_url() -> Iterator[str]:
    """The address of a service whose model calls tools."""
    with running_service_in_thread(UNLIMITED, ToolModel()) as url:
        yield url


@pytest.fixture
async def api_key(service_url: str) -> str:
    """A new client key."""
    return await new_key(service_url)


@pytest.fixture
async def client(service_url: str, api_key: str) -> AsyncIterator[openai.AsyncOpenAI]:
    """OpenAI's client, set up as the documentation shows."""
    async with openai.AsyncOpenAI(base_url=f"{service_url}/v1", api_key=api_key) as client:
        yield client


async def new_key(url: str) -> str:
    answer = await Client(url).post("/api/client-key", {})
    return str(answer.document["clientKey"])
