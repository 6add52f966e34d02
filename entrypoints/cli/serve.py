"""``privity serve``."""

import asyncio
import os
import resource
import signal
from contextlib import suppress
from typing import Annotated, Final

import typer
import uvloop

from adapters.assistant_profile.toml_file import ProfileProblem
from adapters.encrypted_redis.connecting import RedisUnreachable
from adapters.sealing.key_ring import KeyRingProblem
from adapters.system.turn_runner import TaskTurnRunner
from entrypoints.container import open_container, redis_address
from entrypoints.http.app import create_app
from entrypoints.http.server import StartupFailed
from entrypoints.http.server import serve as serve_app
from entrypoints.logging_setup import set_up_logging
from entrypoints.settings import Settings, SettingsProblem, Storage, is_loopback, read_settings

_WRONG_SETTINGS: Final = 2
_FAILED: Final = 1


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
) -> None:
    """Serve the chat.

    With no setting at all it keeps conversations in memory, answers from a built-in script and
    listens on this machine only. SIGTERM lets running replies finish first.
    """
    try:
        settings = read_settings(os.environ)
        _check_address(settings, host)
    except SettingsProblem as problem:
        _complain(problem.problems)
        raise typer.Exit(_WRONG_SETTINGS) from None
    # A core dump would hold conversations in the clear.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    set_up_logging(settings.log_level)
    raise typer.Exit(_served(settings, host, port))


def _check_address(settings: Settings, host: str) -> None:
    spelled_out = settings.redis_enabled is False
    if settings.storage is Storage.MEMORY and not spelled_out and not is_loopback(host):
        why = "Beyond this machine, memory must be spelled out: set REDIS_ENABLED=false."
        raise SettingsProblem([why])


def _served(settings: Settings, host: str, port: int) -> int:
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings, host, port))
    except StartupFailed as failed:
        cause = failed.__cause__
        if isinstance(cause, KeyRingProblem | ProfileProblem):
            _complain([str(cause)])
            return _WRONG_SETTINGS
        if isinstance(cause, RedisUnreachable):
            _complain([str(cause)])
            return _FAILED
        _complain([f"The service could not start ({type(cause).__name__})."])
        return _FAILED
    except OSError as error:
        # asyncio's own words would name the address again.
        why = os.strerror(error.errno) if error.errno else type(error).__name__
        _complain([f"Cannot listen on {host} port {port}: {why}."])
        return _FAILED
    return 0


async def _serve(settings: Settings, host: str, port: int) -> None:
    app = create_app(settings, open_container)
    asked, stopping = asyncio.Event(), asyncio.Event()
    _on_signals(asked, stopping)
    server = asyncio.create_task(
        serve_app(
            app,
            host=host,
            port=port,
            max_connections=settings.max_connections,
            stopping=stopping,
            announce=lambda at: _announce(settings, at),
        )
    )
    waiting = asyncio.create_task(asked.wait())
    await asyncio.wait({server, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    runner: TaskTurnRunner | None = getattr(app.state, "runner", None)
    if runner is None and not server.done():
        # It still waits for what it needs, and nobody was promised anything yet.
        server.cancel()
        with suppress(asyncio.CancelledError):
            await server
        return
    if runner is not None and not server.done():
        drain = runner.drain(settings.shutdown_grace)
        await asyncio.wait(
            {asyncio.create_task(drain), asyncio.create_task(stopping.wait())},
            return_when=asyncio.FIRST_COMPLETED,
        )
        stopping.set()
    await server


def _on_signals(asked: asyncio.Event, stopping: asyncio.Event) -> None:
    """The first signal drains, a second one ends at once."""

    def heard() -> None:
        if asked.is_set():
            stopping.set()
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, heard)


def _announce(settings: Settings, address: str) -> None:
    model = settings.model_name or "a built-in script (not a language model)"
    typer.echo(f"Privity is listening on {address}")
    typer.echo(_kept_in(settings))
    typer.echo(f"Replies come from {model}.")
    here = address.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
    typer.echo(f"Open {settings.public_url or here} or run: privity chat --url {here}")


def _kept_in(settings: Settings) -> str:
    if settings.storage is Storage.MEMORY:
        return "Conversations are kept in memory only: a restart forgets them all."
    return f"Conversations are kept, sealed, in Redis at {redis_address(settings)}."


def _complain(problems: list[str]) -> None:
    for problem in problems:
        typer.secho(f"privity: {problem}", err=True, fg=typer.colors.RED)
