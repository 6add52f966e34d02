"""Starts the services of docker-compose.yml, and removes them with their volumes."""

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from attrs import frozen

from tests.architecture.sources import ROOT
from tests.support.native_client import NativeClient
from tests.support.redis_kinds import compose_command
from tests.support.redis_servers import free_port

# Kept after the tests, so that the next run does not build it from scratch.
IMAGE: Final = "privity-under-test"
SERVICES: Final = ("prepare", "redis", "privity")
MODEL_KEY: Final = "planted-key-of-a-model-provider"
_TIMEOUT_SECONDS: Final = 300
_HEALTHY_WITHIN_SECONDS: Final = 60


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - commands of our own
        command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_SECONDS
    )


@frozen(kw_only=True)
class Composed:
    """One set of services, separate from every other on this machine."""

    project: str
    port: int
    model_key_file: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def compose(self, *arguments: str) -> str:
        """The output of ``docker-compose``, which must succeed."""
        settings = {
            "PRIVITY_IMAGE": IMAGE,
            "PRIVITY_PORT": str(self.port),
            "MODEL_API_KEY_FILE": str(self.model_key_file),
        }
        result = subprocess.run(  # noqa: S603 - a command of our own
            [*compose_command(), "--project-name", self.project, *arguments],
            cwd=ROOT,
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_SECONDS,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def container(self, service: str) -> str:
        """The id of the service's container, running or not."""
        filters = (f"project={self.project}", f"service={service}")
        labels = [f"--filter=label=com.docker.compose.{label}" for label in filters]
        return run("docker", "ps", "--all", "--quiet", "--no-trunc", *labels).stdout.strip()

    def inspected(self, service: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = json.loads(
            run("docker", "inspect", self.container(service)).stdout
        )
        return found[0]

    def inside(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the container of a service."""
        return run("docker", "exec", self.container(service), *command)

    def with_secrets_of(self, service: str, script: str) -> None:
        """Run ``script`` with the service's secrets mounted at /secrets."""
        volume = f"{self.project}_{service}_secrets:/secrets"
        shell = ("--user", "root", "--volume", volume, "--entrypoint", "sh", IMAGE, "-c", script)
        result = run("docker", "run", "--rm", *shell)
        assert result.returncode == 0, result.stderr

    def redis_cli(self, password: str, *command: str, tls: bool = True) -> str:
        """The output of redis-cli as the service's user; unauthenticated without a password."""
        trust = ("--tls", "--cacert", "/secrets/ca.pem") if tls else ()
        user = ("--user", "privity", "--pass", password, "--no-auth-warning") if password else ()
        result = self.inside("redis", "redis-cli", "-h", "localhost", *trust, *user, *command)
        return (result.stdout + result.stderr).strip()

    def await_health(self, service: str) -> None:
        """Wait until Docker reports the service as healthy."""
        container, since = self.container(service), self.inspected(service)["Created"]
        watching = [
            "docker",
            "events",
            "--since",
            since,
            "--until",
            str(int(time.time()) + _HEALTHY_WITHIN_SECONDS),
        ]
        filters = ["--filter", f"container={container}", "--filter", "event=health_status"]
        with subprocess.Popen([*watching, *filters], stdout=subprocess.PIPE, text=True) as events:  # noqa: S603
            assert events.stdout is not None
            healthy = any("health_status: healthy" in line for line in events.stdout)
            events.kill()
        assert healthy, run("docker", "logs", container)


@contextmanager
def composed(model_key_file: Path) -> Iterator[Composed]:
    """The services, started with one command and healthy."""
    project = f"privity-test-{uuid4().hex[:8]}"
    services = Composed(project=project, port=free_port(), model_key_file=model_key_file)
    try:
        services.compose("up", "--build", "--detach")
        services.await_health("privity")
        yield services
    finally:
        services.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")


def found_in_image(needles: list[bytes]) -> list[bytes]:
    """Those needles that occur anywhere in the image: its layers, history or configuration."""
    longest, found, overlap = max(map(len, needles)), set[bytes](), b""
    with subprocess.Popen(["docker", "save", IMAGE], stdout=subprocess.PIPE) as saving:  # noqa: S603, S607
        assert saving.stdout is not None
        while block := saving.stdout.read(1 << 20):
            text = overlap + block
            found |= {needle for needle in needles if needle in text}
            overlap = text[-longest:]
    assert saving.returncode == 0
    return sorted(found)


async def wait_until_ready(services: Composed) -> None:
    async with asyncio.timeout(60):
        while True:
            with suppress(OSError, EOFError):
                if (await NativeClient(services.url).get("/health/ready")).status == 200:
                    return
