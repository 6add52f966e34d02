"""The systemd unit: systemd understands it, it is closed, and its command starts the service."""

import asyncio
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from entrypoints.settings import Settings, setting_infos
from tests.architecture.sources import ROOT
from tests.support.processes import run_cli
from tests.support.reverse_proxies import why_no

UNIT = ROOT / "deploy" / "systemd" / "privity@.service"
PROGRAM = "/opt/privity/bin/privity"
MOST_EXPOSED = "20"
"""In tenths; systemd calls up to 2.0 "OK", and services without any protection have 9.6."""


def values(name: str, *, with_commented: bool = False) -> list[str]:
    """The values of all lines with this name."""
    lines = UNIT.read_text("utf-8").splitlines()
    starts = (f"{name}=", f"#{name}=") if with_commented else (f"{name}=",)
    return [line.partition("=")[2] for line in lines if line.startswith(starts)]


def analyzed(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """systemd-analyze for an instance of the unit whose program exists."""
    program = shutil.which("true")
    assert program is not None
    copy = directory / "privity@8000.service"
    copy.write_text(UNIT.read_text("utf-8").replace(PROGRAM, program))
    return subprocess.run(  # noqa: S603 - the installed systemd
        ["/usr/bin/systemd-analyze", *arguments, str(copy)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(bool(why_no("systemd-analyze")), reason=why_no("systemd-analyze"))
def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    verified = analyzed(tmp_path, "verify")

    assert (verified.returncode, verified.stderr) == (0, "")


@pytest.mark.skipif(bool(why_no("systemd-analyze")), reason=why_no("systemd-analyze"))
def test_the_service_may_do_little_more_than_it_needs(tmp_path: Path) -> None:
    rated = analyzed(tmp_path, "security", "--offline=true", f"--threshold={MOST_EXPOSED}")

    assert rated.returncode == 0, rated.stdout


def test_every_variable_is_a_setting_that_can_be_read_from_a_file() -> None:
    variables = " ".join(values("Environment", with_commented=True))
    names = [pair.partition("=")[0] for pair in variables.split()]
    loaded = values("LoadCredential", with_commented=True)
    credentials = [line.partition(":")[0] for line in loaded]

    assert sorted(names) == sorted(f"{info.name}_FILE" for info in setting_infos() if info.secret)
    assert [f"%d/{name}" in variables for name in credentials] == [True] * len(names)


def test_the_lines_for_the_key_of_the_model_can_be_removed() -> None:
    lines = UNIT.read_text("utf-8").splitlines()
    comment = lines.index("# Remove these two lines if the model needs no key.")
    named = [number for number, line in enumerate(lines) if "model-api-key" in line]

    # An empty file would be an error.
    assert named == [comment + 1, comment + 2]


def test_the_process_has_time_to_end_its_replies() -> None:
    [seconds] = values("TimeoutStopSec")

    assert int(seconds) >= Settings().shutdown_grace.total_seconds() + 15


async def test_the_command_is_one_that_the_program_knows() -> None:
    [command] = values("ExecStart")
    program, *arguments = shlex.split(command.replace("%i", "0"))
    async with asyncio.timeout(60):
        ended = await run_cli(*arguments, PRIVITY_MAX_TURNS="no number")

    assert program == PROGRAM
    # The options are valid: the service gets as far as reading its settings.
    assert ended.code == 2
    assert "PRIVITY_MAX_TURNS" in ended.err
