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

from attrs import field, frozen

from tests.architecture.sources import ROOT
from tests.support.host_model import NAME, HostModel, host_model
from tests.support.native_client import NativeClient
from tests.support.redis_kinds import compose_commands
from tests.support.redis_servers import free_port

# Kept after the tests, so that the next run does not build it from scratch.
IMAGE: Final = "privity-under-test"
SERVICES: Final = ("prepare", "redis", "privity")
MODEL_KEY: Final = "planted-key-of-a-model-provider"
WELCOME: Final = "Welcome to the town's assistant."
SYSTEM_PROMPT: Final = "You are the town's assistant."
_ASSISTANT: Final = f"system_prompt = {SYSTEM_PROMPT!r}\nwelcome.en = {WELCOME!r}\n"
_TIMEOUT_SECONDS: Final = 300
_HEALTHY_WITHIN_SECONDS: Final = 60
_SETTINGS: Final = ("PRIVITY_", "REDIS_", "MODEL_", "ASSISTANT_", "HTTP", "NO_PROXY")


def run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the project's folder, without settings of this process."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)
    }
    return subprocess.run(  # noqa: S603 - commands of our own
        command,
        cwd=ROOT,
        env={**inherited, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_SECONDS,
    )


@frozen(kw_only=True)
class Composed:
    """One set of services, separate from every other on this machine."""

    project: str
    port: int
    env_file: Path
    model: HostModel
    command: tuple[str, ...] = field(factory=lambda: compose_commands()[0])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def compose(self, *arguments: str) -> str:
        """The output of Compose, which must succeed."""
        options = ("--env-file", str(self.env_file), "--project-name", self.project)
        result = run(*self.command, *options, *arguments)
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
def composed(directory: Path) -> Iterator[Composed]:
    """The services, started with one command and healthy; their inputs are in ``directory``."""
    with host_model(_address_of_this_machine()) as model:
        services = Composed(
            project=f"privity-test-{uuid4().hex[:8]}",
            port=free_port(),
            env_file=directory / ".env",
            model=model,
        )
        _write_inputs(services)
        try:
            services.compose("up", "--build", "--detach")
            services.await_health("privity")
            yield services
        finally:
            services.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")


def _address_of_this_machine() -> str:
    """The address that containers know as ``host.docker.internal``."""
    gateway = "{{(index .IPAM.Config 0).Gateway}}"
    return run("docker", "network", "inspect", "bridge", "--format", gateway).stdout.strip()


def _write_inputs(services: Composed) -> None:
    directory = services.env_file.parent
    (directory / "model-api-key").write_text(MODEL_KEY)
    (directory / "town assistant.toml").write_text(_ASSISTANT)
    lines = (
        f"PRIVITY_IMAGE={IMAGE}",
        f"PRIVITY_PORT={services.port}",
        f"ASSISTANT_FILE='{directory}/town assistant.toml'",
        f"MODEL_API_KEY_FILE={directory}/model-api-key",
        f"MODEL_BASE_URL={services.model.url_for_containers}",
        f"MODEL_NAME={NAME}",
        "MODEL_PLAINTEXT=allow",
        # For the shell. Compose has a Redis of its own.
        "REDIS_URL=redis://127.0.0.1:1/0",
    )
    services.env_file.write_text("\n".join(lines) + "\n")


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
