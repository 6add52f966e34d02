"""OpenAI's clients get the same answers from both stores."""

from collections.abc import AsyncIterator

import pytest
from attrs import evolve

from tests.support.openai_recordings import recording, replay
from tests.support.redis_servers import RedisProcess
from tests.support.service import NEW, UNLIMITED, RunningService, running_service
from tests.support.tool_model import ToolModel
from tests.support.v1_client import V1Client


@pytest.fixture(params=["memory", "redis"])
async def service(
    shared_server: RedisProcess, request: pytest.FixtureRequest
) -> AsyncIterator[RunningService]:
    """A service with either store."""
    url = shared_server.url if request.param == "redis" else None
    settings = evolve(UNLIMITED, redis_url=url, keys=NEW)
    async with running_service(settings, model=ToolModel()) as running:
        yield running


@pytest.mark.parametrize("name", ["conversations", "responses", "sessions", "streams", "tools"])
async def test_recorded_exchanges_get_the_same_answers(service: RunningService, name: str) -> None:
    recorded = recording(name)

    assert await replay(await V1Client.new(service.url), recorded) == recorded


async def test_items_are_added_and_deleted_far_from_the_end(service: RunningService) -> None:
    client = await V1Client.new(service.url)
    conversation = await client.conversation(*(f"{number}" for number in range(20)))
    path = f"/v1/conversations/{conversation}/items"
    for number in range(20, 240, 20):
        items = [{"role": "user", "content": f"{n}"} for n in range(number, number + 20)]
        assert (await client.post(path, {"items": items})).status == 200
    oldest = (await client.get(f"{path}?order=asc&limit=3")).document["data"]
    deleted = await client.delete(f"{path}/{oldest[1]['id']}")
    response = await client.ask("240", conversation=conversation)
    remaining = (await client.get(f"{path}?order=asc&limit=2")).document["data"]

    assert (deleted.status, response.status) == (200, 200)
    assert remaining == [oldest[0], oldest[2]]
