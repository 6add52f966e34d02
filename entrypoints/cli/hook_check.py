"""``privity hook-check``, and its findings for ``privity doctor`` and ``privity serve``."""

import asyncio
import os
from pathlib import Path
from typing import Annotated, Final

import typer

from adapters.assistant_profile.toml_file import load_assistant
from adapters.observability.structured_log import StructuredLog
from adapters.system.clock import SystemClock
from adapters.system.identifier_source import RandomIdentifiers
from adapters.turn_hook.hook_server import HookServer
from adapters.turn_hook.hook_signature import new_secret
from domain.model.tool_settings import ToolSettings
from entrypoints.cli.findings import exit_with
from entrypoints.cli.terminal import write_error
from entrypoints.container import hook_server
from entrypoints.settings import Settings, SettingsProblem, read_settings
from ports.findings import Finding, Level

_WRONG_USE: Final = 2
_WORTH_A_LINE: Final = (Level.WARNING, Level.PROBLEM)


def hook_check(
    url: Annotated[
        str | None, typer.Argument(help="URL of the hook; by default PRIVITY_HOOK_URL.")
    ] = None,
    secret_file: Annotated[
        Path | None,
        typer.Option(help="File with its secret; by default PRIVITY_HOOK_SECRET.", metavar="PATH"),
    ] = None,
    *,
    json: Annotated[
        bool, typer.Option("--json", help="Print the findings as a JSON array.")
    ] = False,
) -> None:
    """Send a sample question to a hook, and print what its answer means.

    The question is sent a second time with a wrong signature, which the hook must refuse. Exits
    with 0 if the hook is fine, with 1 after a warning, and with 2 after a problem.
    """
    try:
        settings, has_secret = _settings(url, secret_file)
    except SettingsProblem as problem:
        for text in problem.problems:
            write_error(text)
        raise typer.Exit(_WRONG_USE) from None
    findings = asyncio.run(hook_findings(settings))
    if not has_secret:
        text = "none is set, so a random one signed the question; use --secret-file"
        findings = [Finding(Level.UNKNOWN, "secret", text), *findings]
    exit_with(findings, json=json)


def _settings(url: str | None, secret_file: Path | None) -> tuple[Settings, bool]:
    """The settings with the hook that the arguments name, and whether they have its secret.

    Raises:
        SettingsProblem: none is named, or something about it is not valid.
    """
    environment = dict(os.environ)
    if secret_file is not None:
        environment["PRIVITY_HOOK_SECRET_FILE"] = str(secret_file)
    has_secret = any(environment.get(f"PRIVITY_HOOK_SECRET{end}") for end in ("", "_FILE"))
    if url is not None:
        environment["PRIVITY_HOOK_URL"] = url
        # The sample question holds nobody's words.
        environment["PRIVITY_HOOK_PLAINTEXT"] = "allow"
        if not has_secret:
            environment["PRIVITY_HOOK_SECRET"] = new_secret(os.urandom)
    settings = read_settings(environment)
    if settings.hook_url is None:
        raise SettingsProblem(["Name the hook: add its URL, or set PRIVITY_HOOK_URL."])
    return settings, has_secret


async def hook_findings(settings: Settings) -> list[Finding]:
    """What there is to say about the hook in ``settings``; the first has the topic ``hook``."""
    server = hook_server(settings)
    if server is None:
        return [Finding(Level.GOOD, "hook", "none")]
    return await _findings_at(server, settings)


async def _findings_at(server: HookServer, settings: Settings) -> list[Finding]:
    # Imported here because most services have no hook.
    from adapters.turn_hook.hook_check import hook_findings as found  # noqa: PLC0415 - see above

    turn_id = RandomIdentifiers().turn_id()
    return await found(server, SystemClock(), turn_id=turn_id, in_file=_tools_in_file(settings))


def _tools_in_file(settings: Settings) -> ToolSettings | None:
    file = settings.assistant_file
    return None if file is None else load_assistant(file).tools


async def report_hook(settings: Settings) -> None:
    """Print and log whether the hook answers, in one line each. Does nothing without a hook."""
    server = hook_server(settings)
    if server is None:
        return
    findings = await _findings_at(server, settings)
    finding = next((one for one in findings if one.level in _WORTH_A_LINE), findings[0])
    if finding.level is Level.GOOD:
        typer.echo("The hook answers.")
    else:
        # Not the advice: it may quote the answer, and this becomes part of the log.
        write_error(f"The hook: {finding.text}. For more, run: privity hook-check")
    StructuredLog(str).emit(
        "hook.check", host=server.address, finding=finding.level.value, found=finding.text
    )
