"""A header or a query costs the service next to nothing, whatever it contains."""

import math
from collections.abc import Mapping
from typing import Final

from tests.abuse.costs import answer_to, cost_of, request_of
from tests.support.processes import ServerProcess, serving

_TIMES: Final = 10
_ATTEMPTS: Final = 3
_MAX_SECONDS: Final = 0.005
_LARGEST: Final = 60_000
_LONGEST_URL: Final = 4_000
_STREAM: Final = "/api/chat/x/stream"
_SESSIONS: Final = "/api/sessions"


def filled(unit: str, size: int = _LARGEST) -> str:
    """``unit`` repeated to ``size`` characters."""
    return (unit * (size // len(unit) + 1))[:size]


HEADERS: Final[Mapping[str, tuple[str, ...]]] = {
    "Accept": (filled("text/html,"),),
    "Accept-Language": (
        filled("a-"),
        filled("a_"),
        filled("a,"),
        filled("a;q=0.1,"),
        "a;q=" + filled("1"),
        filled("-"),
    ),
    "Authorization": ("Bearer " + filled("A"), "Bearer " + filled(" ") + "x", filled(" ")),
    "Cookie": (
        filled("a=b; "),
        filled("a;"),
        filled(";privity="),
        f'privity="{filled(chr(92) * 2)}"',
        f'privity="{filled(chr(92) + "012")}"',
        f'privity="{filled(chr(92))}"',
    ),
    "Connection": (filled("a,"),),
    "Expect": (filled("a"),),
    "Idempotency-Key": (filled("a"),),
    "If-None-Match": (filled('"a",'), filled('"')),
    "Last-Event-ID": (filled("1"), filled("."), filled("1.")),
    "Origin": (filled("a."), "http://" + filled("a:")),
    "Sec-Fetch-Site": (filled("a"),),
    "Upgrade": (filled("a,"),),
    "X-Forwarded-For": (filled("1,"), filled("1.1.1.1, "), filled("1:"), filled("[")),
}
PATHS: Final = ("a", "/", "%41", "%", "%ff", "%ffa", "%e2%82%ac", "a-")
QUERIES: Final = ("a&", "&", "a=b&", "before=1&", "sessionId=%41%", "sessionId=%ffa", "a=+", ";")


def requests() -> Mapping[str, bytes]:
    """The largest requests of each kind, by name."""
    by_header = {
        f"{name}: {value[:16]}": request_of(target, {name: value}, body)
        for name, values in HEADERS.items()
        for value in values
        for target, body in ((_STREAM, None), (_SESSIONS, b"{}"))
    }
    by_path = {
        f"{unit} x {size}": request_of(f"/api/chat/{filled(unit, size)}/stream", {})
        for unit in PATHS
        for size in (_LONGEST_URL, _LARGEST)
    }
    by_query = {
        f"?{unit} x {size}": request_of(f"/api/chat?{filled(unit, size)}", {})
        for unit in QUERIES
        for size in (_LONGEST_URL, _LARGEST)
    }
    others = {
        "a Content-Type": request_of(_SESSIONS, {"Content-Type": filled(";a=b")}, b"{}"),
        "a Content-Length": request_of(_SESSIONS, {"Content-Length": filled("0") + "2"}, b"{}"),
        "a Host": request_of(_STREAM, {"Host": filled("a."), "Origin": "http://a"}),
        "a prefix of the path": request_of(f"/{filled('a', _LONGEST_URL)}/api/chat", {}),
    }
    return {**by_header, **by_path, **by_query, **others}


async def expensive(server: ServerProcess) -> Mapping[str, float]:
    """The CPU seconds of all requests that cost too much."""
    limit = await cost_of(server, request_of(_SESSIONS, {}, b"{}"), _TIMES) + _MAX_SECONDS
    all_requests = requests()
    costs = dict.fromkeys(all_requests, math.inf)
    # On a busy machine, a cheap request costs too much now and then. An expensive one always does.
    for _ in range(_ATTEMPTS):
        remaining = [name for name, cost in costs.items() if cost > limit]
        costs = {name: await cost_of(server, all_requests[name], _TIMES) for name in remaining}
    return {name: cost for name, cost in costs.items() if cost > limit}


async def test_no_header_and_no_query_costs_more_than_five_milliseconds() -> None:
    settings = {"PRIVITY_NEW_PER_HOUR": "1000000", "PRIVITY_PROXIES": "1"}
    async with serving(**settings, PRIVITY_LIMITS="off") as server:
        assert await expensive(server) == {}


async def test_a_url_that_is_too_long_is_refused() -> None:
    async with serving() as server:
        answers = {
            target: await answer_to(server, request_of(target, {}))
            for target in (f"/{filled('a', 4_096)}", f"/v1/models?{filled('a', 4_086)}")
        }

        assert {answer.split()[1] for answer in answers.values()} == {b"414"}, answers


async def test_a_query_with_too_many_parameters_is_refused() -> None:
    async with serving() as server:
        answer = await answer_to(server, request_of(f"/?{QUERIES[0] * 32}", {}))

        assert answer.split()[1] == b"400", answer


async def test_malformed_requests_do_not_fill_the_log() -> None:
    upgrade = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: %b\r\n\r\n"
    async with serving() as server:
        for request in (b"\x16\x03\x01\r\n\r\n", upgrade % b"websocket", upgrade % b"h2c"):
            await answer_to(server, request)
        server.terminate()
        ended = await server.wait()

    assert "request" not in ended.err
    assert "WebSocket" not in ended.err
