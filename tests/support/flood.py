"""Many requests in the same instant, from a process of their own."""

import asyncio
import multiprocessing
import selectors
import socket
from concurrent.futures import ProcessPoolExecutor
from typing import Final
from urllib.parse import urlsplit

_SECONDS: Final = 60


async def flood(url: str, requests: bytes, connections: int) -> int:
    """Send ``requests`` on each of the connections; how many answers have status 200.

    The last of ``requests`` has to close the connection.
    """
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as process:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(process, _flood, url, requests, connections)


def _flood(url: str, requests: bytes, connections: int) -> int:
    address, answers = urlsplit(url), 0
    with selectors.DefaultSelector() as selector:
        for _ in range(connections):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex((address.hostname, address.port))
            selector.register(client, selectors.EVENT_WRITE)
        while selector.get_map():
            events = selector.select(_SECONDS)
            if not events:
                raise TimeoutError
            for key, mask in events:
                client = key.fileobj  # type: ignore[assignment]
                if mask & selectors.EVENT_WRITE:
                    client.sendall(requests)
                    selector.modify(client, selectors.EVENT_READ)
                    continue
                received = client.recv(1 << 20)
                answers += received.count(b"HTTP/1.1 200 ")
                if not received:
                    selector.unregister(client)
                    client.close()
    return answers
