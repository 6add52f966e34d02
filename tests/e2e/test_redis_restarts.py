"""Redis killed and started again under load: nothing acknowledged is lost, nothing is mixed up."""

import asyncio

from tests.support.native_client import NativeClient
from tests.support.redis_servers import RedisProcess
from tests.support.redis_services import served_from
from tests.support.steady_users import SteadyUser, Tally

PEOPLE = 12
KILLS = 3
BETWEEN_KILLS = 40
AWAY = "503 store_unavailable"


async def test_redis_killed_and_restarted_under_load(own_server: RedisProcess) -> None:
    tally, enough = Tally(), asyncio.Event()
    async with served_from(own_server) as service:
        talkers = [
            SteadyUser(NativeClient(service.url), f"person{n}", tally) for n in range(PEOPLE)
        ]
        talking = [asyncio.create_task(talker.talk(enough.is_set)) for talker in talkers]
        for _ in range(KILLS):
            await tally.wait_for_more("saved", BETWEEN_KILLS)
            own_server.kill()
            await tally.wait_for_more(AWAY, 1)
            own_server.start()
        await tally.wait_for_more("saved", BETWEEN_KILLS)
        enough.set()
        await asyncio.gather(*talking)
        lost = [await talker.lost() for talker in talkers]
        said = [await talker.client.transcript(str(talker.session_id)) for talker in talkers]

    assert lost == [[]] * PEOPLE
    # A message whose begin was lost with its answer may be there and open when it is said again.
    assert set(tally.counted) <= {"saved", AWAY, "409 turn_in_progress"}
    for talker, history in zip(talkers, said, strict=True):
        own = {text.split("-")[0] for role, text in history if role == "user"}
        assert own == {talker.name}
