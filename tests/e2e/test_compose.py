"""The services of docker-compose.yml, as one command starts them."""

import json
import re

import pytest

from tests.architecture.sources import ROOT
from tests.support.compose import (
    IMAGE,
    MODEL_KEY,
    SERVICES,
    SYSTEM_PROMPT,
    WELCOME,
    Composed,
    found_in_image,
    run,
)
from tests.support.host_model import REPLY
from tests.support.native_client import NativeClient

ACL_ERRORS = ("NOPERM", "ACL failure in script", "The user executing the script can't")
COMPOSE_PAGE = (ROOT / "docs/compose.md").read_text("utf-8")
KEY = "conversation:state:00000000-0000-4000-8000-000000000000"
# Starting the services takes long, so one worker runs all tests that use them.
pytestmark = pytest.mark.xdist_group("compose")


@pytest.fixture
def secrets(services: Composed, password: str) -> list[str]:
    keys = services.inside("privity", "cat", "/secrets/keys").stdout
    key = services.inside("redis", "cat", "/secrets/redis.key").stdout
    operator = services.inside("redis", "cat", "/secrets/operator-password").stdout
    return [password, operator, keys.partition(":")[2], key.splitlines()[1], MODEL_KEY]


async def test_a_turn_is_stored_and_remembered(services: Composed) -> None:
    client = NativeClient(services.url)
    first = await client.send_for_document("My favourite colour is teal.")
    await client.send_for_document("What did I tell you?", first["sessionId"])

    transcript = await client.transcript(first["sessionId"])
    assert [role for role, _ in transcript] == ["user", "assistant"] * 2
    assert transcript[0] == ("user", "My favourite colour is teal.")


def test_the_doctor_finds_no_problems(services: Composed) -> None:
    examined = services.inside("privity", "privity", "doctor")

    assert examined.returncode == 0, examined.stdout + examined.stderr
    assert "certificate and host name are checked" in examined.stdout


def test_redis_has_the_planned_settings(services: Composed, password: str) -> None:
    settings = ["maxmemory", "maxmemory-policy", "appendonly", "port", "tls-port"]
    settings_found = services.redis_cli(password, "CONFIG", "GET", *settings).split()

    assert dict(zip(settings_found[::2], settings_found[1::2], strict=True)) == {
        "maxmemory": str(100 * 1024 * 1024),
        "maxmemory-policy": "allkeys-lru",
        "appendonly": "yes",
        "port": "0",
        "tls-port": "6379",
    }


def test_redis_accepts_only_tls(services: Composed, password: str) -> None:
    assert services.redis_cli(password, "PING") == "PONG"
    assert "PONG" not in services.redis_cli(password, "PING", tls=False)
    assert services.inspected("redis")["HostConfig"]["PortBindings"] in ({}, None)


def test_redis_requires_a_password(services: Composed) -> None:
    assert "NOAUTH" in services.redis_cli("", "PING")
    assert "WRONGPASS" in services.redis_cli("a-guess", "PING")
    assert "WRONGPASS" in services.redis_cli("", "AUTH", "default", "")


@pytest.mark.parametrize(
    "command",
    [
        "CONFIG SET maxmemory 1",
        "CONFIG REWRITE",
        "KEYS *",
        "FLUSHALL",
        "FLUSHDB",
        "ACL LIST",
        "MONITOR",
        "SHUTDOWN",
        "SAVE",
        "REPLICAOF localhost 1",
        "MODULE LIST",
        "GET other",
        "SET other x",
        "LRANGE other 0 -1",
        "DEL other",
        "EVAL return(1) 1 other",
        "EVAL return(redis.call('del','other')) 0",
        "EVAL return(redis.call('flushall')) 0",
    ],
)
def test_the_service_may_do_in_redis_only_what_it_needs(
    services: Composed, password: str, command: str
) -> None:
    answer = services.redis_cli(password, *command.split())

    assert any(error in answer for error in ACL_ERRORS), answer
    assert services.redis_cli(password, "LRANGE", KEY, "0", "-1") == ""


def test_the_documented_line_opens_redis_for_the_operator(services: Composed) -> None:
    line = re.search(r"exec redis sh -c '(REDISCLI_AUTH.*)'$", COMPOSE_PAGE, re.MULTILINE)
    assert line is not None

    assert services.inside("redis", "sh", "-c", f"{line[1]} ACL WHOAMI").stdout == "operator\n"


@pytest.mark.parametrize("service", ["privity", "redis"])
def test_a_service_runs_without_privileges(services: Composed, service: str) -> None:
    status = services.inside(service, "cat", "/proc/1/status").stdout
    facts = dict(line.split(":\t", 1) for line in status.splitlines())
    declared = services.inspected(service)["HostConfig"]

    assert "0" not in facts["Uid"].split()
    assert {facts[name] for name in ("CapEff", "CapPrm", "CapBnd")} == {"0" * 16}
    assert facts["NoNewPrivs"] == "1"
    assert declared["ReadonlyRootfs"] is True
    assert declared["Privileged"] is False


@pytest.mark.parametrize("service", ["prepare", "privity", "redis"])
def test_a_service_has_limits_and_leaves_nothing_on_the_disk(
    services: Composed, service: str
) -> None:
    declared = services.inspected(service)["HostConfig"]
    ulimits = {limit["Name"]: (limit["Soft"], limit["Hard"]) for limit in declared["Ulimits"]}

    assert 0 < declared["Memory"] <= 1024**3
    assert declared["MemorySwap"] == declared["Memory"]
    assert 0 < declared["PidsLimit"] <= 128
    assert ulimits["core"] == (0, 0)
    assert 1024 <= ulimits["nofile"][1] <= 16384


@pytest.mark.parametrize("service", ["privity", "redis"])
def test_the_kernel_enforces_the_limits(services: Composed, service: str) -> None:
    lines = services.inside(service, "cat", "/proc/1/limits").stdout.splitlines()
    soft = {line[:26].strip(): line[26:].split()[0] for line in lines[1:]}

    assert soft["Max core file size"] == "0"
    assert soft["Max open files"] == "16384"


@pytest.mark.parametrize("folder", ["/", "/tmp", "/opt/privity", "/secrets"])  # noqa: S108
def test_the_service_can_write_nowhere(services: Composed, folder: str) -> None:
    # chmod checks whether the file system is read-only before it checks the owner.
    ran = services.inside("privity", "chmod", "777", folder)

    assert "Read-only file system" in ran.stderr


def test_the_port_is_open_to_this_machine_only(services: Composed) -> None:
    bound = services.inspected("privity")["HostConfig"]["PortBindings"]["8000/tcp"]

    assert [where["HostIp"] for where in bound] == ["127.0.0.1"]


def test_docker_inspect_shows_no_secret(services: Composed, secrets: list[str]) -> None:
    descriptions = [json.dumps(services.inspected(service)) for service in SERVICES]
    descriptions.append(run("docker", "inspect", IMAGE).stdout)

    assert all(len(secret) > 20 for secret in secrets)
    assert [secret for secret in secrets for text in descriptions if secret in text] == []


def test_no_secret_is_in_the_image(secrets: list[str]) -> None:
    marker, secret_bytes = b"conversation:state:", [secret.encode() for secret in secrets]

    assert found_in_image([marker, *secret_bytes]) == [marker]


async def test_a_model_on_the_host_replies_as_the_assistant_of_the_operator(
    services: Composed,
) -> None:
    client = NativeClient(services.url)
    session = (await client.send_for_document("Hello"))["sessionId"]
    page = await client.get("/")

    assert await client.transcript(session) == [("user", "Hello"), ("assistant", REPLY)]
    assert services.model.bodies[-1]["messages"][0]["content"].startswith(SYSTEM_PROMPT)
    assert services.model.authorizations[-1] == f"Bearer {MODEL_KEY}"
    assert WELCOME.encode() in page.body


def test_every_volume_has_a_name(services: Composed) -> None:
    mounts = services.inspected("redis")["Mounts"]

    assert {mount["Destination"]: mount["Name"] for mount in mounts} == {
        "/data": f"{services.project}_redis_data",
        "/secrets": f"{services.project}_redis_secrets",
    }


def test_redis_never_sees_the_master_key(services: Composed) -> None:
    assert set(services.inside("redis", "ls", "/secrets").stdout.split()) == {
        "ca.pem",
        "operator-password",
        "redis.key",
        "redis.pem",
        "users.acl",
    }
