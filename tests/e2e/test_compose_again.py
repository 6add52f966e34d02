"""The services of docker-compose.yml, restarted, and brought up over what there is."""

import pytest

from tests.support.compose import Composed, until_it_is_ready
from tests.support.native_client import NativeClient

pytestmark = pytest.mark.xdist_group("compose")


@pytest.mark.parametrize(
    "again", [("restart", "privity"), ("restart", "redis"), ("up", "--detach", "--force-recreate")]
)
async def test_a_conversation_outlives_the_service(
    services: Composed, again: tuple[str, ...]
) -> None:
    client = NativeClient(services.url)
    session = (await client.ask("Remember me."))["sessionId"]
    before = await client.transcript(session)
    services.compose(again[0], "--timeout", "5", *again[1:])
    await until_it_is_ready(services)

    assert await client.transcript(session) == before


async def test_the_rights_of_the_service_are_written_anew(
    services: Composed, password: str
) -> None:
    """A newer release may need more of them than were given when all this was made."""
    services.with_secrets_of("redis", "echo 'user default off' > /given/users.acl")
    services.compose("up", "--detach", "--force-recreate", "--timeout", "5")
    await until_it_is_ready(services)

    assert services.redis_says(password, "PING") == "PONG"
