"""``privity doctor`` in tests, and a server with the recommended settings."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.processes import Ended, run_cli_in_process
from tests.support.redis_servers import RedisProcess, embedded_binary, redis_process
from tests.support.redis_store import RING

SECRET = "a_planted_password"
COMMANDS = "+ping +select +eval +evalsha +lrange +lindex +rpush +pttl +pexpire +scan"
RECOMMENDED = (
    *("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"),
    *("--appendonly", "yes"),
)


def run_doctor(url: str, keys: str = RING, **settings: str) -> Ended:
    return run_cli_in_process("doctor", REDIS_URL=url, PRIVITY_KEYS=keys, **settings)


def acl_file(directory: Path) -> Path:
    """The service's user ``chat``, and ``blind``, which may not read the settings."""
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    file = directory / "users.acl"
    file.write_text(
        f"user default on #{digest} ~* +@all\n"
        f"user chat on #{digest} ~*conversation:* ~{{ratelimit}}:* -@all {COMMANDS} "
        "+info +acl|whoami +config|get +client|no-touch\n"
        f"user blind on #{digest} ~*conversation:* ~{{ratelimit}}:* -@all {COMMANDS}\n"
    )
    return file


@contextmanager
def recommended_server() -> Iterator[RedisProcess]:
    with TemporaryDirectory() as directory:
        users = str(acl_file(Path(directory)))
        with redis_process(embedded_binary(), *RECOMMENDED, "--aclfile", users) as server:
            yield server


def url_of(server: RedisProcess, user: str = "chat", secret: str = SECRET) -> str:
    return f"redis://{user}:{secret}@127.0.0.1:{server.port}/0"


def findings(ended: Ended) -> dict[str, tuple[str, str]]:
    """Level and text of every finding, by topic."""
    printed = (line.split(maxsplit=1) for line in ended.out.splitlines())
    return {
        topic: (level, text)
        for level, finding in printed
        for topic, _, text in [finding.partition(": ")]
    }
