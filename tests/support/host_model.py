"""A model server on this machine that containers reach as ``host.docker.internal``."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from attrs import field, frozen

from tests.support.model_server import a_reply

NAME: Final = "model-on-the-host"
REPLY: Final = "The model on the host replies."


@frozen(kw_only=True)
class HostModel:
    """The model, and the requests that reached it."""

    port: int
    bodies: list[dict[str, Any]] = field(factory=list)
    authorizations: list[str] = field(factory=list)

    @property
    def url_for_containers(self) -> str:
        return f"http://host.docker.internal:{self.port}/v1"


@contextmanager
def host_model(address: str) -> Iterator[HostModel]:
    """A model that listens on ``address``, an address of Docker's bridge to this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send("application/json", json.dumps({"data": [{"id": NAME}]}).encode())

        def do_POST(self) -> None:
            model.bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            model.authorizations.append(self.headers["authorization"])
            chunks = [chunk for chunk in a_reply(REPLY).chunks if chunk]
            self._send("text/event-stream", b"".join(chunks))

        def _send(self, media_type: str, body: bytes) -> None:
            self.send_response(200)
            self.send_header("content-type", media_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing is logged."""

    with ThreadingHTTPServer((address, 0), Handler) as server:
        model = HostModel(port=server.server_address[1])
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield model
        finally:
            server.shutdown()
            thread.join()
