"""Prints findings, as text or as JSON, and exits with the status of the worst."""

from collections.abc import Sequence
from typing import Final, NoReturn

import msgspec
import typer

from entrypoints.cli.terminal import printable
from ports.findings import Finding, Level

_EXIT_STATUS: Final = {Level.GOOD: 0, Level.UNKNOWN: 0, Level.WARNING: 1, Level.PROBLEM: 2}
_COLOURS: Final = {
    Level.GOOD: typer.colors.GREEN,
    Level.UNKNOWN: typer.colors.CYAN,
    Level.WARNING: typer.colors.YELLOW,
    Level.PROBLEM: typer.colors.RED,
}
_LEVEL_WIDTH: Final = max(len(level.value) for level in Level)


def exit_with(findings: Sequence[Finding], *, json: bool) -> NoReturn:
    """Print ``findings``, and exit with 0, with 1 after a warning, or with 2 after a problem."""
    typer.echo(_as_json(findings) if json else "\n".join(map(_as_text, findings)))
    raise typer.Exit(max((_EXIT_STATUS[finding.level] for finding in findings), default=0))


def _as_text(finding: Finding) -> str:
    mark = typer.style(finding.level.value.ljust(_LEVEL_WIDTH), fg=_COLOURS[finding.level])
    line = f"{mark} {printable(finding.topic)}: {printable(finding.text)}"
    if not finding.advice:
        return line
    # A line to paste must not be broken, so nothing is wrapped.
    return f"{line}\n{' ' * _LEVEL_WIDTH} {printable(finding.advice)}"


def _as_json(findings: Sequence[Finding]) -> str:
    return msgspec.json.format(msgspec.json.encode(findings)).decode()
