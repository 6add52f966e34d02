"""The real service in this process, with parts replaced, and settings that several tests share."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, Final

import punq
import uvicorn.server
from attrs import evolve, frozen
from starlette.applications import Starlette

from adapters.system.turn_runner import TaskTurnRunner
from entrypoints.container import open_container
from entrypoints.http.app import ContainerFactory, create_app
from entrypoints.http.server import serve
from entrypoints.settings import Settings
from ports.language_model import LanguageModel
from tests.support.described_answers import DescribedAnswers

ReplaceParts = Callable[[punq.Container], None]
_NO_TIME = timedelta()
_SOON = timedelta(seconds=5)
_POLL_SECONDS = 0.005


@frozen(kw_only=True)
class RunningService:
    """A service that is listening."""

    url: str
    app: Starlette

    @property
    def runner(self) -> TaskTurnRunner:
        runner: TaskTurnRunner = self.app.state.runner
        return runner


def opening(replacing: ReplaceParts) -> ContainerFactory:
    """The real container, with parts replaced before anything is resolved from it."""

    @asynccontextmanager
    async def opened(settings: Settings, **options: Any) -> AsyncIterator[punq.Container]:
        async with open_container(settings, **options) as container:
            replacing(container)
            yield container

    return opened


@asynccontextmanager
async def running_service(
    settings: Settings | None = None,
    *,
    model: LanguageModel | None = None,
    replacing: ReplaceParts | None = None,
) -> AsyncIterator[RunningService]:
    """The app on the real server and a free port; turns still running at the end are cut off.

    At the end, every answer must have been one that the OpenAPI document describes.
    """

    def replace(container: punq.Container) -> None:
        if model is not None:
            container.register(LanguageModel, instance=model)
        if replacing is not None:
            replacing(container)

    _poll_often()
    app = create_app(settings or UNLIMITED, opening(replace))
    answers = DescribedAnswers(app)
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stopping = asyncio.Event()
    server = asyncio.create_task(
        serve(
            answers,
            host="127.0.0.1",
            port=0,
            max_connections=512,
            stopping=stopping,
            announce=listening.set_result,
            grace=timedelta(seconds=1),
        )
    )
    either: set[asyncio.Future[Any]] = {server, listening}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if server.done():
        await server
    try:
        yield RunningService(url=listening.result(), app=app)
        await app.state.runner.drain(_NO_TIME, _SOON)
    finally:
        stopping.set()
        await server
    answers.check()


def _poll_often() -> None:
    """Make uvicorn check every few milliseconds whether to stop, which saves 0.2 s per service."""

    async def sleep(_: float) -> None:
        await asyncio.sleep(_POLL_SECONDS)

    vars(uvicorn.server)["asyncio"] = SimpleNamespace(**{**vars(asyncio), "sleep": sleep})


@contextmanager
def running_service_in_thread(settings: Settings, model: LanguageModel) -> Iterator[str]:
    """The URL of a service in its own thread, for tests with different event loops."""
    started: Future[tuple[str, Callable[[], object]]] = Future()

    async def serving() -> None:
        leaving = asyncio.Event()
        loop = asyncio.get_running_loop()
        async with running_service(settings, model=model) as service:
            started.set_result((service.url, lambda: loop.call_soon_threadsafe(leaving.set)))
            await leaving.wait()

    with ThreadPoolExecutor(1) as pool:
        thread = pool.submit(asyncio.run, serving())
        either: set[Future[Any]] = {started, thread}
        wait(either, return_when=FIRST_COMPLETED)
        if thread.done():
            thread.result()
        url, leave = started.result()
        try:
            yield url
        finally:
            leave()
            thread.result()


HTTPS: Final = "https://chat.example"
OLD: Final = "old:" + "b2xk" * 10 + "b2w="
NEW: Final = "new:" + "bmV3" * 10 + "bmU="
# The longest message has room in a prompt.
UNLIMITED: Final = Settings(
    limits=False, v1=True, model_context_tokens=100_000, model_reply_tokens=1_024
)
WITH_IMAGES: Final = evolve(UNLIMITED, model_images=True)
"""For a service that tests share: all of them come from one address, and use keys of their own."""
