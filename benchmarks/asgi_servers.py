"""Compares granian's embedded server with uvicorn: the same app, uvloop, loopback.

    python benchmarks/asgi_servers.py

Needs wrk (apt-get install wrk) and takes about a minute. Rounds are interleaved in alternating
order and compared as ratios, because absolute numbers mean little on a shared machine.
"""
# ruff: noqa: INP001, S603 - a script, which runs wrk and itself

import asyncio
import contextlib
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

EVENTS = [b'data: {"type":"text-delta","id":"0","delta":"word %d "}\n\n' % n for n in range(20)]
HELLO = b'{"message":"hello, world"}'
CHUNKS = {
    "/hello": [HELLO],
    "/sse/1": EVENTS,
    "/sse/5": [b"".join(EVENTS[n : n + 5]) for n in range(0, 20, 5)],
}
WORKLOADS = {
    "small response": "/hello",
    "20 events, five per chunk": "/sse/5",
    "20 events, one per chunk": "/sse/1",
}
SERVERS = ("uvicorn", "granian")
ROUNDS = 4
SECONDS = 2
CONNECTIONS = 64


@dataclass(frozen=True, kw_only=True)
class Load:
    """What one run of wrk measured.

    Attributes:
        per_second: responses per second; above zero.
        cpu_us: CPU time of the server process per response, in microseconds.
        p99_ms: 99th percentile of the latency, in milliseconds.
    """

    per_second: float
    cpu_us: float
    p99_ms: float


async def app(scope: Event, receive: Receive, send: Send) -> None:
    """Serves the paths of CHUNKS. Streams have no content length, as in Privity."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    chunks = CHUNKS[scope["path"]]
    kind = b"application/json" if len(chunks) == 1 else b"text/event-stream"
    headers = [(b"content-type", kind), (b"cache-control", b"no-store")]
    if len(chunks) == 1:
        headers.append((b"content-length", b"%d" % len(HELLO)))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for chunk in chunks[:-1]:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": chunks[-1]})


async def lifespan(receive: Receive, send: Send) -> None:
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})


async def serve_uvicorn(port: int) -> None:
    import uvicorn  # noqa: PLC0415 - each process imports only its own server

    config = uvicorn.Config(
        app, port=port, http="httptools", ws="none", access_log=False, log_level="warning"
    )
    await uvicorn.Server(config).serve()


async def serve_granian(port: int) -> None:
    from granian.constants import HTTPModes, Interfaces  # noqa: PLC0415
    from granian.server.embed import Server  # noqa: PLC0415

    server = Server(
        app, port=port, interface=Interfaces.ASGI, http=HTTPModes.http1, websockets=False,
        backlog=4096, backpressure=4096, log_enabled=False,
    )  # fmt: skip
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.stop)
    await server.serve()


def serve(name: str, port: int) -> None:
    """Run in the server process: the script calls itself."""
    import uvloop  # noqa: PLC0415

    entry = {"uvicorn": serve_uvicorn, "granian": serve_granian}[name]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(entry(port))


@contextlib.contextmanager
def running(name: str) -> Iterator[tuple[int, int]]:
    """A server process on the first core; yields its process id and port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [*pinned(first=True), sys.executable, __file__, "serve", name, str(port)]
    with subprocess.Popen(command) as process:
        try:
            wait_until_open(port)
            yield process.pid, port
        finally:
            process.terminate()


def wait_until_open(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port} after 10 s")


def pinned(*, first: bool) -> list[str]:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2 or shutil.which("taskset") is None:
        return []
    return ["taskset", "-c", str(cores[0] if first else cores[-1])]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process: fields 14 and 15 of proc(5)'s stat."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(pid: int, port: int, path: str) -> Load:
    wrk = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency"]
    before = cpu_seconds(pid)
    wrk_run = subprocess.run(
        [*pinned(first=False), *wrk, f"http://127.0.0.1:{port}{path}"],
        capture_output=True, text=True, check=True, timeout=SECONDS + 20,
    )  # fmt: skip
    used = cpu_seconds(pid) - before
    responses = re.search(r"(\d+) requests in", wrk_run.stdout)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)\b", wrk_run.stdout)
    if (
        responses is None
        or p99 is None
        or "Non-2xx" in wrk_run.stdout
        or "Socket err" in wrk_run.stdout
    ):
        raise SystemExit(f"wrk reports errors for {path}:\n{wrk_run.stdout}")
    count, scale = int(responses[1]), {"us": 0.001, "ms": 1.0, "s": 1000.0}[p99[2]]
    return Load(per_second=count / SECONDS, cpu_us=used / count * 1e6, p99_ms=float(p99[1]) * scale)


def row(label: str, rounds: list[dict[str, Load]]) -> str:
    def ratio(of: Callable[[Load], float]) -> str:
        each = sorted(of(loads["granian"]) / of(loads["uvicorn"]) for loads in rounds)
        return f"{statistics.median(each):.2f} ({each[0]:.2f}-{each[-1]:.2f})"

    def both(of: Callable[[Load], float]) -> str:
        return " / ".join(
            f"{statistics.median(of(loads[name]) for loads in rounds):,.0f}" for name in SERVERS
        )

    rate, cpu, p99 = attrgetter("per_second"), attrgetter("cpu_us"), attrgetter("p99_ms")
    return (
        " | ".join([f"| {label}", both(rate), ratio(rate), ratio(cpu), ratio(p99), both(cpu)])
        + " |"
    )


def main() -> None:
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    print(
        "| response | responses/s, uvicorn / granian | granian's rate ÷ uvicorn's "
        "| CPU ÷ uvicorn's | p99 ÷ uvicorn's | CPU µs per response |\n|---|---|---|---|---|---|"
    )
    with running("uvicorn") as uvicorn, running("granian") as granian:
        servers = {"uvicorn": uvicorn, "granian": granian}
        for label, path in WORKLOADS.items():
            rounds: list[dict[str, Load]] = []
            for number in range(ROUNDS):
                order = SERVERS if number % 2 == 0 else SERVERS[::-1]
                rounds.append({name: measure(*servers[name], path) for name in order})
            print(row(label, rounds), flush=True)


if __name__ == "__main__":
    serve(sys.argv[2], int(sys.argv[3])) if sys.argv[1:2] == ["serve"] else main()
