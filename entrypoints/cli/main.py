"""The ``privity`` command."""

from typing import Annotated

import typer

from entrypoints.cli.chat import chat
from entrypoints.cli.doctor import doctor
from entrypoints.cli.hook_check import hook_check
from entrypoints.cli.keys import new_client_key, new_hook_secret, new_key
from entrypoints.cli.serve import serve

app = typer.Typer(
    name="privity",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    rich_markup_mode="markdown",
)
app.command()(serve)
app.command()(chat)
app.command()(doctor)
app.command("hook-check")(hook_check)
app.command("new-key")(new_key)
app.command("new-client-key")(new_client_key)
app.command("new-hook-secret")(new_hook_secret)


@app.callback(invoke_without_command=True)
def version(
    *, show: Annotated[bool, typer.Option("--version", help="Show the version.")] = False
) -> None:
    """A self-hosted chat backend that keeps conversations private.

    Start with `privity serve`; no settings are required. All settings are environment variables;
    see docs/settings.md.
    """
    if show:
        from importlib.metadata import version as installed  # noqa: PLC0415 - only needed here

        typer.echo(installed("privity"))
        raise typer.Exit


def run() -> None:
    """Run the command line."""
    # Shells complete the command by its name, however it was started.
    app(prog_name="privity")
