"""A reply that thousands of streams follow would keep the process busy: there can be only a few."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from attrs import frozen

from tests.support.http_client import Answer, LiveAnswer
from tests.support.instructed_model import HANG, InstructedModel, instruction
from tests.support.native_client import NativeClient, eventually
from tests.support.processes import serving
from tests.support.v1_client import error_of

NEVER_END: Final = instruction("slow", 1, ending=HANG)
PER_CLIENT_KEY: Final = 16
PER_ADDRESS: Final = 128


@frozen(kw_only=True)
class Service:
    """A process, and the streams that are open."""

    url: str
    streams: AsyncExitStack

    async def reader(self, address: str = "192.0.2.1") -> tuple[NativeClient, str]:
        """A client with a reply that never ends, and the path of its stream."""
        client = NativeClient(self.url, x_forwarded_for=address)
        await client.get_key()
        live = await self.streams.enter_async_context(client.streaming(NEVER_END))
        session_id = str((await live.event()).document["sessionId"])
        return client, f"/api/chat/{session_id}/stream"

    async def follow(self, client: NativeClient, path: str, times: int) -> list[LiveAnswer]:
        opened = [client.open("GET", path) for _ in range(times)]
        return [await self.streams.enter_async_context(one) for one in opened]


@asynccontextmanager
async def a_service(model: InstructedModel) -> AsyncIterator[Service]:
    settings = {"MODEL_BASE_URL": model.url, "MODEL_NAME": "instructed", "PRIVITY_V1": "open"}
    async with serving(**settings, PRIVITY_PROXIES="1") as server, AsyncExitStack() as streams:
        yield Service(url=server.url, streams=streams)


async def first_answer(client: NativeClient, path: str) -> Answer:
    """The refusal, or the beginning of the stream."""
    async with client.open("GET", path) as live:
        if live.status == 429:
            return await live.whole()
        return Answer(status=live.status, headers=live.headers)


async def test_a_client_key_follows_sixteen_streams(instructed_model: InstructedModel) -> None:
    async with a_service(instructed_model) as service:
        client, path = await service.reader()
        other, other_path = await service.reader()
        streams = await service.follow(client, path, PER_CLIENT_KEY)
        refused = await first_answer(client, path)
        others = await first_answer(other, other_path)

    assert {live.status for live in streams} == {200}
    assert (refused.status, refused.code) == (429, "too_many_followers")
    assert int(refused.headers["retry-after"]) >= 1
    assert others.status == 200


async def test_a_stream_that_is_closed_makes_room(instructed_model: InstructedModel) -> None:
    async with a_service(instructed_model) as service:
        client, path = await service.reader()
        await service.follow(client, path, PER_CLIENT_KEY - 1)
        async with client.open("GET", path):
            refused = await first_answer(client, path)

        async def is_welcome() -> bool:
            return (await first_answer(client, path)).status == 200

        await eventually(is_welcome)

    assert refused.status == 429


async def test_an_address_follows_a_hundred_and_twenty_eight(
    instructed_model: InstructedModel,
) -> None:
    async with a_service(instructed_model) as service:
        for _ in range(PER_ADDRESS // PER_CLIENT_KEY):
            streams = await service.follow(*await service.reader(), PER_CLIENT_KEY)
            assert {live.status for live in streams} == {200}
        refused = await first_answer(*await service.reader())
        elsewhere = await first_answer(*await service.reader("192.0.2.2"))

    assert (refused.status, refused.code) == (429, "too_many_followers")
    assert elsewhere.status == 200


async def test_responses_that_are_followed_count_as_well(instructed_model: InstructedModel) -> None:
    async with a_service(instructed_model) as service:
        client, path = await service.reader()
        key = str(client.cookie).removeprefix("privity=")
        program = NativeClient(
            service.url, x_forwarded_for="192.0.2.1", authorization=f"Bearer {key}"
        )
        body = {"input": NEVER_END, "background": True}
        response_id = str((await program.post("/v1/responses", body)).document["id"])
        await service.follow(client, path, PER_CLIENT_KEY)
        refused = await first_answer(program, f"/v1/responses/{response_id}?stream=true")

    assert refused.status == 429
    assert error_of(refused)["code"] == "too_many_followers"
