"""What the commands write to the terminal, and what ``privity chat`` reads from it."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final, TypeAlias, TypeVar

import typer

ReadLine: TypeAlias = Callable[[], str | None]
"""Returns the next line; None at the end of the input. Ctrl-C raises KeyboardInterrupt."""
Write: TypeAlias = Callable[[str], None]

_Result = TypeVar("_Result")
_PROMPT: Final = "you > "
_UNSAFE: Final = (
    *(code for code in range(0x20) if chr(code) not in "\t\n\r"),
    *range(0x7F, 0xA0),
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
)
"""Control characters, and those that change the writing direction of what follows."""

# A carriage return would let text overwrite what the line shows already.
_SHOWN_AS: Final = {ord("\r"): "", **{code: f"<U+{code:04X}>" for code in _UNSAFE}}


def printable(text: str) -> str:
    """``text`` with its control characters made visible, so that they do not reach the terminal."""
    return text.translate(_SHOWN_AS)


def write(text: str) -> None:
    """Print ``text`` as it is, without a line end, but with control characters made visible."""
    typer.echo(printable(text), nl=False)


def write_error(text: str) -> None:
    """Print ``text`` as a line on standard error."""
    typer.secho(f"privity: {printable(text)}", err=True, fg=typer.colors.RED)


def is_interactive() -> bool:
    """Whether a person types the input."""
    return sys.stdin.isatty()


def line_reader() -> ReadLine:
    """Reads lines with an editor and a history in a terminal, and without them elsewhere."""
    if not is_interactive():
        return _next_line
    if not sys.stdout.isatty():
        return _prompted_line
    return _edited_lines()


def _next_line() -> str | None:
    line = sys.stdin.readline()
    return line.strip() if line else None


def _prompted_line() -> str | None:
    write(f"\n{_PROMPT}")
    return _next_line()


def _edited_lines() -> ReadLine:
    # Imported here because it takes 0.2 seconds, which other commands do not need.
    from prompt_toolkit import PromptSession  # noqa: PLC0415 - see above

    # The history of a session is in memory only, unless another one is passed.
    session: PromptSession[str] = PromptSession()

    def read_line() -> str | None:
        write("\n")
        try:
            return session.prompt(_PROMPT).strip()
        except EOFError:
            return None

    return read_line


def run_interruptibly(runner: asyncio.Runner, coroutine: Coroutine[None, None, _Result]) -> _Result:
    """The result of ``coroutine``. Ctrl-C cancels it.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed. It is raised only here and never within the event
            loop, which could not be used again.
    """
    loop = runner.get_loop()
    task = loop.create_task(coroutine)
    try:
        with _handling_ctrl_c(loop, task.cancel) as presses:
            result = loop.run_until_complete(task)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    if presses:
        raise KeyboardInterrupt
    return result


@contextmanager
def _handling_ctrl_c(
    loop: asyncio.AbstractEventLoop, handle: Callable[[], object]
) -> Iterator[list[int]]:
    """While the block runs, the event loop calls ``handle`` when Ctrl-C is pressed.

    Yields a list that gets an item whenever Ctrl-C is pressed.
    """
    presses: list[int] = []

    def on_signal(number: int, _: object) -> None:
        presses.append(number)
        loop.call_soon_threadsafe(handle)

    previous = signal.signal(signal.SIGINT, on_signal)
    try:
        yield presses
    finally:
        signal.signal(signal.SIGINT, previous)


class UserLeft(Exception):
    """The user pressed Ctrl-C a second time."""


@asynccontextmanager
async def stopping_on_ctrl_c(stop: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """While the block runs, Ctrl-C calls ``stop``.

    An error of ``stop`` ends the block and is raised. If ``stop`` has not returned when the block
    ends, it is cancelled.

    Raises:
        UserLeft: Ctrl-C was pressed again.
    """
    ctrl_c = _CtrlC(stop, asyncio.current_task())
    try:
        with _handling_ctrl_c(asyncio.get_running_loop(), ctrl_c.on_press):
            yield
    except asyncio.CancelledError:
        if ctrl_c.error is None:
            raise
        raise ctrl_c.error from None
    finally:
        ctrl_c.cancel_stop()


class _CtrlC:
    """What to do when Ctrl-C is pressed while ``block`` runs."""

    def __init__(
        self, stop: Callable[[], Awaitable[None]], block: asyncio.Task[None] | None
    ) -> None:
        self._stop = stop
        self._block = block
        self._stopping: asyncio.Task[None] | None = None
        self.error: Exception | None = None

    def on_press(self) -> None:
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._run_stop())
        else:
            self._end_block(UserLeft())

    async def _run_stop(self) -> None:
        try:
            await self._stop()
        except Exception as error:  # noqa: BLE001 - raised by the block
            self._end_block(error)

    def _end_block(self, error: Exception) -> None:
        self.error = error
        if self._block is not None:
            self._block.cancel()

    def cancel_stop(self) -> None:
        if self._stopping is not None:
            self._stopping.cancel()
