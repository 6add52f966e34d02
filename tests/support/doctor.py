"""``privity doctor`` in tests, and a server with the recommended settings and ACL users."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import pytest
from redis import Redis

from adapters.encrypted_redis import diagnostics
from tests.architecture.sources import ROOT
from tests.support.processes import Ended, run_cli_in_process
from tests.support.redis_servers import RedisProcess, embedded_binary, redis_process
from tests.support.redis_store import RING

SECRET = "a_planted_password"
RECOMMENDED = (
    *("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"),
    *("--appendonly", "yes"),
)
OPTIONAL = ("+info", "+scan", "+config|get")


def run_doctor(url: str, keys: str = RING, *arguments: str, **settings: str) -> Ended:
    """However busy this machine is, its Redis does not count as far away."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diagnostics, "_MAX_ROUND_TRIP", timedelta(minutes=1))
        return run_cli_in_process(
            "doctor", *arguments, REDIS_URL=url, PRIVITY_KEYS=keys, **settings
        )


def documented_rules() -> tuple[Sequence[str], Sequence[str]]:
    """The commands and the key patterns that docs/operations.md tells the operator to grant."""
    text = (ROOT / "docs" / "operations.md").read_text()
    paragraph = text[text.index("The ACL user needs") :]
    commands = re.findall(r"^    (\+.*)$", paragraph, re.MULTILINE)
    patterns = re.findall(r"`([^`]*:\*)`", paragraph[: paragraph.index("    +")])
    return " ".join(commands).split(), [f"~{pattern}" for pattern in patterns]


def set_user(server: RedisProcess, name: str, commands: Sequence[str], keys: Sequence[str]) -> None:
    """Create or replace a user with the password ``SECRET`` and only these permissions."""
    with Redis.from_url(server.url) as redis:
        rules = ("reset", "on", f">{SECRET}", *keys, "-@all", *commands)
        redis.execute_command("ACL", "SETUSER", name, *rules)


@contextmanager
def recommended_server(binary: str | None = None) -> Iterator[RedisProcess]:
    """A server with the service's user ``chat``, and ``blind``, which may not read settings."""
    commands, keys = documented_rules()
    with redis_process(binary or embedded_binary(), *RECOMMENDED) as server:
        no_touch = () if binary else ("+client|no-touch",)
        set_user(server, "chat", (*commands, *no_touch), keys)
        set_user(server, "blind", [rule for rule in commands if rule not in OPTIONAL], keys)
        yield server


def url_of(server: RedisProcess, user: str = "chat", secret: str = SECRET, db: int = 0) -> str:
    return f"redis://{user}:{secret}@127.0.0.1:{server.port}/{db}"


def findings(ended: Ended) -> dict[str, tuple[str, str]]:
    """Level and text of every finding, by topic."""
    printed = (line.split(maxsplit=1) for line in ended.out.splitlines() if line[0] != " ")
    return {
        topic: (level, text)
        for level, finding in printed
        for topic, _, text in [finding.partition(": ")]
    }


def advice(ended: Ended, topic: str) -> str:
    """What the indented line below a finding says; empty if there is none."""
    lines = [*ended.out.splitlines(), "end"]
    number = next(n for n, line in enumerate(lines) if line.split(maxsplit=1)[-1].startswith(topic))
    return lines[number + 1].strip() if lines[number + 1].startswith(" ") else ""
