"""``privity chat``: a conversation in the terminal."""

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Final

import typer

from entrypoints.cli.chat_client import ChatError, open_client
from entrypoints.cli.terminal import (
    ReadLine,
    UserLeft,
    is_interactive,
    line_reader,
    run_interruptibly,
    write,
    write_error,
)
from entrypoints.cli.terminal_chat import TerminalChat
from entrypoints.url_settings import URL

_CLIENT_KEY: Final = "PRIVITY_CLIENT_KEY"
_KEY_AS_ARGUMENT: Final = (
    "A client key is not accepted as an argument, because other users of this machine could see "
    f"it. Use --client-key-file or the variable {_CLIENT_KEY}."
)
_FAILED: Final = 1
_USAGE_ERROR: Final = 2
_INTERRUPTED: Final = 128 + signal.SIGINT
"""What shells report for a program that Ctrl-C has ended."""


def chat(
    url: Annotated[
        str, typer.Option(envvar="PRIVITY_URL", help="URL of the server.")
    ] = "http://127.0.0.1:8000",
    client_key_file: Annotated[
        Path | None,
        typer.Option(
            envvar="PRIVITY_CLIENT_KEY_FILE",
            help="File with your client key. Without one, and without the variable "
            f"{_CLIENT_KEY}, a new key is created.",
        ),
    ] = None,
    client_key: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Chat with a running server.

    Ctrl-C stops a reply that is being written; at the prompt, it exits. /help lists the commands.
    If the input does not come from a terminal, each line is a message, and only replies and
    problems are printed.
    """
    try:
        url = _server_url(url)
        key = _client_key(client_key_file, argument=client_key)
    except ValueError as error:
        write_error(str(error))
        raise typer.Exit(_USAGE_ERROR) from None
    raise typer.Exit(_chat(url, key))


def _server_url(text: str) -> str:
    expects, parse = URL
    try:
        return str(parse(text))
    except ValueError:
        raise ValueError(f"--url: expected {expects}.") from None


def _client_key(path: Path | None, *, argument: str | None) -> str | None:
    """The client key in this file, otherwise in the environment; None if there is neither.

    Raises:
        ValueError: with a sentence for people.
    """
    if argument is not None:
        raise ValueError(_KEY_AS_ARGUMENT)
    source, text = _CLIENT_KEY, os.environ.get(_CLIENT_KEY, "")
    if path is None and not text:
        return None
    if path is not None:
        source = "--client-key-file"
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            raise ValueError(f"{source}: the file cannot be read.") from None
    text = text.strip()
    if not text.isascii() or len(text.split()) != 1:
        raise ValueError(f"{source}: expected a client key and nothing else.")
    return text


def _chat(url: str, client_key: str | None) -> int:
    """Chat until the end of the input; returns the exit status."""
    with asyncio.Runner() as runner:
        closing = AsyncExitStack()
        try:
            client = run_interruptibly(
                runner, closing.enter_async_context(open_client(url, client_key))
            )
            if client_key is None:
                run_interruptibly(runner, client.create_client_key())
            terminal_chat = TerminalChat(client, write, is_interactive=is_interactive())
            return _talk(runner, terminal_chat, line_reader())
        except ChatError as error:
            write_error(str(error))
            return _FAILED
        except (KeyboardInterrupt, UserLeft):
            write("\n")
            return _INTERRUPTED
        finally:
            runner.run(closing.aclose())


def _talk(runner: asyncio.Runner, terminal_chat: TerminalChat, read_line: ReadLine) -> int:
    # The event loop does not run while a line is read. So Ctrl-C at the prompt is an ordinary
    # KeyboardInterrupt, and no thread waits for input when the program ends.
    run_interruptibly(runner, terminal_chat.begin())
    while (line := read_line()) is not None and line != "/quit":
        run_interruptibly(runner, terminal_chat.handle(line))
    return _FAILED if terminal_chat.has_failed and not is_interactive() else 0
