"""The services of docker-compose.yml, restarted and recreated over existing volumes."""

import pytest

from tests.support.compose import Composed, wait_until_ready
from tests.support.native_client import NativeClient

pytestmark = pytest.mark.xdist_group("compose")


@pytest.mark.parametrize(
    "again", [("restart", "privity"), ("restart", "redis"), ("up", "--detach", "--force-recreate")]
)
async def test_a_conversation_outlives_the_service(
    services: Composed, again: tuple[str, ...]
) -> None:
    client = NativeClient(services.url)
    session = (await client.send_for_document("Remember me."))["sessionId"]
    before = await client.transcript(session)
    services.compose(again[0], "--timeout", "5", *again[1:])
    await wait_until_ready(services)

    assert await client.transcript(session) == before


async def test_the_redis_permissions_of_the_service_are_rewritten(
    services: Composed, password: str
) -> None:
    """A newer release may need more permissions than those written when the volume was created."""
    services.with_secrets_of("redis", "echo 'user default off' > /secrets/users.acl")
    services.compose("up", "--detach", "--force-recreate", "--timeout", "5")
    await wait_until_ready(services)

    assert services.redis_cli(password, "PING") == "PONG"
