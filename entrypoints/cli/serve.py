"""``privity serve``."""

import asyncio
import errno
import gc
import os
import signal
import socket
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Annotated, Final

import typer
import uvloop
from attrs import evolve

from adapters.assistant_profile.toml_file import ProfileProblem
from adapters.encrypted_redis.connecting import RedisUnreachable
from adapters.outgoing_http.loopback import is_loopback
from adapters.outgoing_http.server_problem import ServerProblem
from adapters.sealing.key_ring import KeyRingProblem
from adapters.system.turn_runner import TaskTurnRunner
from entrypoints.cli.hook_check import report_hook
from entrypoints.cli.model_check import report_model
from entrypoints.cli.process_limits import (
    forbid_memory_dumps,
    possible_connections,
    raise_open_files,
)
from entrypoints.cli.terminal import write_error
from entrypoints.container import open_container, redis_address
from entrypoints.http.app import create_app
from entrypoints.http.server import StartupFailed
from entrypoints.http.server import serve as serve_app
from entrypoints.logging_setup import set_up_logging
from entrypoints.settings import (
    Settings,
    SettingsProblem,
    Storage,
    read_settings,
    setting_warnings,
)

_WRONG_SETTINGS: Final = 2
_FAILED: Final = 1
_PROBLEMS_OF_SETTINGS: Final = (
    KeyRingProblem,
    ProfileProblem,
    ServerProblem,
)


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 picks a free one.")] = 8000,
) -> None:
    """Start the service.

    Without settings it keeps conversations in memory, answers from a built-in script and listens
    on this machine only. On SIGTERM, running replies may finish; a second signal ends them.
    """
    try:
        for warning in setting_warnings(os.environ):
            typer.secho(f"privity: warning: {warning}", err=True, fg=typer.colors.YELLOW)
        settings = read_settings(os.environ)
        _check_address(settings, host)
    except SettingsProblem as problem:
        _print_errors(problem.problems)
        raise typer.Exit(_WRONG_SETTINGS) from None
    forbid_memory_dumps()
    set_up_logging(settings.log_level)
    raise typer.Exit(_run(_with_possible_connections(settings), host, port))


def _check_address(settings: Settings, host: str) -> None:
    chose_memory = settings.redis_enabled is False
    if settings.storage is Storage.MEMORY and not chose_memory and not is_loopback(host):
        why = (
            f"Refusing to listen on {host or 'all addresses'} with in-memory storage. Set "
            "REDIS_URL, or REDIS_ENABLED=false if losing all conversations at restart is fine."
        )
        raise SettingsProblem([why])


def _with_possible_connections(settings: Settings) -> Settings:
    """The settings with fewer connections if the limit of open files demands it."""
    open_files = raise_open_files()
    connections = possible_connections(open_files, settings.max_connections, settings.max_turns)
    if connections < settings.max_connections:
        typer.echo(
            f"privity: The limit of {open_files} open files allows {connections} connections, not "
            f"{settings.max_connections} (PRIVITY_MAX_CONNECTIONS). Raise it with ulimit -n.",
            err=True,
        )
    return evolve(settings, max_connections=connections)


def _run(settings: Settings, host: str, port: int) -> int:
    """Serve until a signal; returns the exit status."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings, host, port))
    except StartupFailed as failed:
        cause = failed.__cause__
        if isinstance(cause, _PROBLEMS_OF_SETTINGS):
            _print_errors([str(cause)])
            return _WRONG_SETTINGS
        if isinstance(cause, RedisUnreachable):
            _print_errors([str(cause)])
            return _FAILED
        _print_errors([f"The service could not start ({type(cause).__name__})."])
        return _FAILED
    except OSError as error:
        write_error(f"Cannot listen on {host} port {port}: {_why_not_listening(error)}")
        return _FAILED
    return 0


def _why_not_listening(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "the host name is not found."
    if error.errno == errno.EADDRINUSE:
        return "another program uses this port. Stop it, or choose another port with --port."
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine does not have this address. Use 0.0.0.0 for all of its addresses."
    if error.errno == errno.EACCES:
        return "this user may not use ports below 1024. Choose another port with --port."
    # str(error) would repeat the address.
    return f"{os.strerror(error.errno) if error.errno else type(error).__name__}."


async def _serve(settings: Settings, host: str, port: int) -> None:
    app = create_app(settings, partial(open_container, report=write_error))
    signalled, stopping = asyncio.Event(), asyncio.Event()
    _handle_signals(signalled, stopping)
    background: set[asyncio.Task[None]] = set()

    def announce(address: str) -> None:
        _begin(settings, address)
        # In the background: a server that does not answer yet must not delay the start.
        background.add(asyncio.create_task(report_model(settings)))
        background.add(asyncio.create_task(report_hook(settings)))

    server = asyncio.create_task(
        serve_app(
            app,
            host=host,
            port=port,
            max_connections=settings.max_connections,
            behind_proxies=settings.proxies > 0,
            stopping=stopping,
            announce=announce,
        )
    )
    first_signal = asyncio.create_task(signalled.wait())
    await asyncio.wait({server, first_signal}, return_when=asyncio.FIRST_COMPLETED)
    first_signal.cancel()
    if not server.done():
        runner: TaskTurnRunner | None = getattr(app.state, "runner", None)
        if runner is None:
            # The service is still starting, so there are no running turns to drain.
            server.cancel()
            with suppress(asyncio.CancelledError):
                await server
            return
        await _drain(runner, settings.shutdown_grace, stopping)
    await server


def _handle_signals(signalled: asyncio.Event, stopping: asyncio.Event) -> None:
    """SIGTERM and SIGINT set ``signalled`` the first time and ``stopping`` the second."""

    def on_signal() -> None:
        if signalled.is_set():
            stopping.set()
        signalled.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)


async def _drain(runner: TaskTurnRunner, grace: timedelta, stopping: asyncio.Event) -> None:
    """Wait until running turns end, ``grace`` is over or ``stopping`` is set.

    In each case ``stopping`` is set afterwards.
    """
    drained = asyncio.create_task(runner.drain(grace))
    second_signal = asyncio.create_task(stopping.wait())
    await asyncio.wait({drained, second_signal}, return_when=asyncio.FIRST_COMPLETED)
    stopping.set()


def _begin(settings: Settings, address: str) -> None:
    # A full garbage collection would look at all modules and take about 0.1 s each time.
    gc.collect()
    gc.freeze()
    _announce(settings, address)


def _announce(settings: Settings, address: str) -> None:
    model = settings.model_name or "a built-in script (not a language model)"
    local_address = address.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
    typer.echo(f"Privity is listening on {address}")
    typer.echo(_storage_line(settings))
    typer.echo(f"Replies come from {model}.")
    if settings.is_v1_open:
        typer.echo("PRIVITY_V1 is open: /v1 accepts client keys that anybody can get.")
    if not settings.limits:
        typer.echo("PRIVITY_LIMITS is off: nothing limits what a caller may use.")
    typer.echo(
        f"Open {settings.public_url or local_address} or run: privity chat --url {local_address}"
    )


def _storage_line(settings: Settings) -> str:
    if settings.storage is Storage.MEMORY:
        return "Conversations are kept in memory only. A restart forgets all of them."
    return f"Conversations are sealed and stored in Redis at {redis_address(settings)}."


def _print_errors(problems: list[str]) -> None:
    for problem in problems:
        write_error(problem)
