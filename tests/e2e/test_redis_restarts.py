"""Redis killed and restarted under load: nothing acknowledged is lost, nothing is mixed up."""

import asyncio

from tests.support.native_client import NativeClient
from tests.support.redis_servers import RedisProcess
from tests.support.redis_services import running_service_with_redis
from tests.support.steady_users import SteadyUser, Tally

PEOPLE = 12
KILLS = 3
BETWEEN_KILLS = 40
AWAY = "503 store_unavailable"


async def test_redis_killed_and_restarted_under_load(own_server: RedisProcess) -> None:
    tally, enough = Tally(), asyncio.Event()
    async with running_service_with_redis(own_server) as service:
        users = [SteadyUser(NativeClient(service.url), f"person{n}", tally) for n in range(PEOPLE)]
        talking = [asyncio.create_task(user.talk(enough.is_set)) for user in users]
        for _ in range(KILLS):
            await tally.wait_for_more("saved", BETWEEN_KILLS)
            own_server.kill()
            await tally.wait_for_more(AWAY, 1)
            own_server.start()
        await tally.wait_for_more("saved", BETWEEN_KILLS)
        enough.set()
        await asyncio.gather(*talking)
        lost = [await user.lost() for user in users]
        transcripts = [await user.client.transcript(str(user.session_id)) for user in users]

    assert lost == [[]] * PEOPLE
    # If a response was lost, its turn may still be open when the user sends the next message.
    assert set(tally.counted) <= {"saved", AWAY, "409 turn_in_progress"}
    for user, history in zip(users, transcripts, strict=True):
        own = {text.split("-")[0] for role, text in history if role == "user"}
        assert own == {user.name}
