"""Which images the Docker engine has. Nothing is pulled."""

import subprocess
from functools import cache
from typing import Final

REDIS_IMAGE: Final = "redis:7.4-alpine"
PYTHON_IMAGE: Final = "python:3.11-slim"
_TIMEOUT_SECONDS: Final = 20


@cache
def why_no_images(*names: str) -> str:
    """Why containers of these images cannot be run here; empty if they can."""
    return next((why for name in names if (why := _why_no_image(name))), "")


def _why_no_image(name: str) -> str:
    try:
        ended = ran("docker", "image", "inspect", name)
    except FileNotFoundError:
        return "docker is not installed"
    except subprocess.TimeoutExpired:
        return "the Docker engine does not answer"
    if ended.returncode == 0:
        return ""
    return (
        f"the Docker engine has no {name}"
        if "no such image" in ended.stderr.lower()
        else "no Docker engine answers"
    )


def ran(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a short command and capture its output."""
    return subprocess.run(  # noqa: S603 - commands of our own
        command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_SECONDS
    )
