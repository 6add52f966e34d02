"""What the operating system allows: nobody reads the memory, and files do not run out."""

import asyncio
from typing import Final
from urllib.parse import urlsplit

from tests.support.model_server import a_reply, model_server
from tests.support.process_usage import cpu_seconds
from tests.support.processes import RUN, serving
from tests.support.raw_sockets import unread

BODY: Final = b'{"message": "Hi"}'
MESSAGE: Final = (
    b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Accept: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b"
    % (len(BODY), BODY)
)
HEALTH: Final = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
QUIET = {"PRIVITY_LOG_LEVEL": "warning"}
FEW_FILES: Final = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 320)); {RUN}"
PRINT_DUMPABLE: Final = f"""
import atexit, ctypes
atexit.register(lambda: print("dumpable:", ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)))
{RUN}
"""


async def test_no_other_process_can_read_the_memory() -> None:
    async with serving(PRINT_DUMPABLE) as server:
        server.terminate()
        ended = await server.wait()

    assert "dumpable: 0" in ended.out


async def test_too_few_open_files_are_reported_in_one_line() -> None:
    async with serving(FEW_FILES, PRIVITY_MAX_CONNECTIONS="200", **QUIET) as server:
        server.terminate()
        ended = await server.wait()

    (line,) = ended.err.splitlines()
    assert "320 open files" in line
    assert "PRIVITY_MAX_CONNECTIONS" in line


async def test_enough_open_files_are_not_reported() -> None:
    async with serving(PRIVITY_MAX_CONNECTIONS="200", PRIVITY_MAX_TURNS="200", **QUIET) as server:
        server.terminate()
        ended = await server.wait()

    assert ended.err == ""


async def test_more_connections_than_open_files_stop_no_reply() -> None:
    async with model_server(a_reply("Hello")) as model:
        settings = {"MODEL_BASE_URL": model.url, "MODEL_NAME": "any"}
        async with serving(FEW_FILES, **settings) as server:
            address = urlsplit(server.url)
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            writer.write(HEALTH)
            await reader.readuntil(b"}")
            used = cpu_seconds(server.pid)
            async with unread(server.url, HEALTH, connections=400):
                writer.write(MESSAGE)
                answer = await reader.read()
            used = cpu_seconds(server.pid) - used
            writer.close()

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"Hello" in answer
    assert used < 1
