"""The Traefik file: its parts refer to each other. No Traefik is at hand to run it."""

from typing import Any, Final

import yaml

from tests.architecture.sources import ROOT

HTTP: Final[Any] = yaml.safe_load((ROOT / "deploy/traefik/privity.yml").read_text("utf-8"))["http"]


def test_every_name_is_defined() -> None:
    router, service = HTTP["routers"]["privity"], HTTP["services"]["privity"]

    assert set(router["middlewares"]) == set(HTTP["middlewares"])
    assert router["service"] in HTTP["services"]
    assert service["loadBalancer"]["serversTransport"] in HTTP["serversTransports"]


def test_nothing_buffers_a_stream() -> None:
    kinds = {kind for middleware in HTTP["middlewares"].values() for kind in middleware}

    assert kinds == {"headers", "inFlightReq"}
