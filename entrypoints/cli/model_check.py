"""Whether the model's server answers: for ``privity doctor``, and when the service starts."""

import typer

from adapters.language_model import model_check
from adapters.observability.structured_log import StructuredLog
from adapters.system.clock import SystemClock
from entrypoints.container import model_server
from entrypoints.settings import Settings
from ports.findings import Finding, Level


async def model_findings(settings: Settings) -> list[Finding]:
    """What there is to say about the model's server; the first finding has the topic ``model``."""
    server = model_server(settings)
    if server is None:
        return [Finding(Level.GOOD, "model", "a built-in script, not a language model")]
    return await model_check.model_findings(server, SystemClock(), settings.model_reply_tokens)


async def report_model(settings: Settings) -> None:
    """Print and log in one line each whether the model answers, unless ``MODEL_CHECK`` is false."""
    server = model_server(settings)
    if server is None or not settings.model_check:
        return
    finding, *_ = await model_findings(settings)
    if finding.level is Level.GOOD:
        typer.echo("The model answers.")
    else:
        line = f"The model at {server.address}: {finding.text}. {finding.advice}"
        typer.secho(f"privity: {line}", err=True, fg=typer.colors.RED)
    StructuredLog(str).emit(
        "model.check",
        host=server.address,
        model=server.name,
        finding=finding.level.value,
        found=finding.text,
    )
