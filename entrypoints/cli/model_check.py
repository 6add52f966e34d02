"""Whether the model's server answers: for ``privity doctor``, and when the service starts."""

import typer

from adapters.language_model import model_check
from adapters.language_model.model_window import window_at
from adapters.observability.structured_log import StructuredLog
from adapters.system.clock import SystemClock
from domain.model.budget import DEFAULT_WINDOW, BudgetBounds
from entrypoints.cli.terminal import write_error
from entrypoints.container import model_server
from entrypoints.settings import Settings
from ports.findings import Finding, Level


async def model_findings(settings: Settings) -> list[Finding]:
    """What there is to say about the model's server; the first finding has the topic ``model``."""
    server = model_server(settings)
    if server is None:
        return [Finding(Level.GOOD, "model", "a built-in script, not a language model")]
    stated = await window_at(server)
    bounds = BudgetBounds(
        reply_tokens=settings.model_reply_tokens, window=settings.model_context_tokens
    )
    budget = bounds.budget(bounds.window or stated.tokens or DEFAULT_WINDOW)
    findings = await model_check.model_findings(server, SystemClock(), budget.reply_tokens)
    if findings[0].level is not Level.GOOD:
        return findings
    if not stated.is_final:
        # The reply that was just requested made the server load the model.
        stated = await window_at(server)
    return [*findings, _window_finding(settings.model_context_tokens, stated.tokens)]


def _window_finding(chosen: int | None, stated: int | None) -> Finding:
    """Which context window is used, and whether the settings and the server agree about it."""
    topic = "context window"
    if chosen is None and stated is None:
        text = f"the server does not state it, so prompts are made for {DEFAULT_WINDOW:,} tokens"
        return Finding(Level.UNKNOWN, topic, text, "Set MODEL_CONTEXT_TOKENS to what it allows.")
    if chosen is None:
        return Finding(Level.GOOD, topic, f"{stated:,} tokens, as the server states")
    if stated is not None and chosen > stated:
        text = f"MODEL_CONTEXT_TOKENS is {chosen:,}, but the server states {stated:,} tokens"
        return Finding(Level.WARNING, topic, text, "Lower MODEL_CONTEXT_TOKENS, or remove it.")
    return Finding(Level.GOOD, topic, f"{chosen:,} tokens, as MODEL_CONTEXT_TOKENS says")


async def report_model(settings: Settings) -> None:
    """Print and log in one line each whether the model answers, unless ``MODEL_CHECK`` is false."""
    server = model_server(settings)
    if server is None or not settings.model_check:
        return
    finding, *_ = await model_findings(settings)
    if finding.level is Level.GOOD:
        typer.echo("The model answers.")
    else:
        write_error(f"The model at {server.address}: {finding.text}. {finding.advice}")
    StructuredLog(str).emit(
        "model.check",
        host=server.address,
        model=server.name,
        finding=finding.level.value,
        found=finding.text,
    )
