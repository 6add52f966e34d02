"""Images cost the service a time in proportion to their bytes; what is refused is not decoded."""

from collections.abc import Mapping
from typing import Final

from entrypoints.http.images import IMAGES_BODY_BYTES
from tests.abuse.costs import cost_of, request_of
from tests.abuse.test_bodies import SETTINGS, padded
from tests.support.images import LARGE_IMAGE, TINY_IMAGES
from tests.support.native_client import NativeClient
from tests.support.processes import ServerProcess, serving

_LARGEST: Final = 2_097_152 + IMAGES_BODY_BYTES
_MAX_SECONDS: Final = 2.0
"""Ten times what it costs on an idle machine. What does not grow linearly costs minutes."""

_BEGINNING: Final = b'{"id":"a","messages":[{"role":"user","parts":['
_END: Final = b"]}]}"
_FILE: Final = b'{"type":"file","mediaType":"image/png","url":"%b"}'


def parts(unit: bytes) -> bytes:
    """The largest body of the AI SDK with these parts."""
    return padded(_BEGINNING, unit, _END, _LARGEST)


def bodies() -> Mapping[str, bytes]:
    tiny = b",".join(_FILE % image.data_url.encode() for image in TINY_IMAGES)
    whole = LARGE_IMAGE.data_url.encode()
    return {
        "one endless image": _BEGINNING + _FILE % whole[:26].ljust(_LARGEST - 200, b"A") + _END,
        "endless parameters": _BEGINNING
        + _FILE % (b"data:image/png" + b";a=b" * (_LARGEST // 4 - 100))
        + _END,
        "endless white space": _BEGINNING + _FILE % b"data:".ljust(_LARGEST - 200) + _END,
        "a thousand tiny images": _BEGINNING + tiny + _END,
        "large images": parts(_FILE % whole),
        "empty images": parts(_FILE % b"data:image/png;base64,"),
        "empty parts": parts(b"{}"),
        "lists": padded(b'{"id":"a","x":"messages","y":[', b"[]", b"]}", _LARGEST),
    }


async def expensive(server: ServerProcess) -> Mapping[str, float]:
    """The CPU seconds of all bodies that cost too much."""
    headers = {"Accept": "application/json"}
    costs = {
        name: await cost_of(server, request_of("/api/chat", headers, body), 1)
        for name, body in bodies().items()
    }
    return {name: cost for name, cost in costs.items() if cost > _MAX_SECONDS}


async def test_no_body_with_images_costs_more_than_its_size_explains() -> None:
    assert all(len(body) <= _LARGEST for body in bodies().values())

    async with serving(**SETTINGS, MODEL_IMAGES="true") as server:
        assert await expensive(server) == {}


async def test_a_thousand_tiny_images_are_refused() -> None:
    async with serving(**SETTINGS, MODEL_IMAGES="true") as server:
        client = NativeClient(server.url)
        answer = await client.call(
            "POST",
            "/api/chat",
            bodies()["a thousand tiny images"],
            content_type="application/json",
        )

    assert (answer.status, answer.code) == (413, "too_many_images")
