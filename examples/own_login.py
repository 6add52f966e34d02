"""An app with a login of its own in front of Privity.

Each user has a client key that only this app knows. The browser talks to this app alone.

    pip install starlette uvicorn aiohttp
    PRIVITY_URL=http://127.0.0.1:8000 uvicorn own_login:app --port 3000
    curl -N -u alice:secret localhost:3000/api/chat -H 'content-type: application/json' \
        -d '{"message": "Hello"}'

Set PRIVITY_PROXIES=1 for Privity: this app names the address of each user, so the limits per
address apply to the user and not to this app.
"""

import base64
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

PRIVITY = os.environ.get("PRIVITY_URL", "http://127.0.0.1:8000")
PASSWORDS = {"alice": "secret", "bob": "hidden"}  # Replace this by the login of your app.
CLIENT_KEYS: dict[str, str] = {}  # Replace this by a column of your database, encrypted.


def user_of(request: Request) -> str | None:
    """The user who is logged in; None if nobody is."""
    try:
        encoded = request.headers["authorization"].removeprefix("Basic ")
        user, _, password = base64.b64decode(encoded).decode().partition(":")
    except (KeyError, ValueError):
        return None
    expected = PASSWORDS.get(user, secrets.token_hex())
    is_right = secrets.compare_digest(password.encode(), expected.encode())
    return user if is_right else None


async def client_key_of(user: str, http: aiohttp.ClientSession) -> str:
    """The client key of the user; a new one at the first message."""
    if user not in CLIENT_KEYS:
        async with http.post(f"{PRIVITY}/api/client-key", json={}) as answer:
            answer.raise_for_status()
            # Another request of the user may have got one meanwhile.
            CLIENT_KEYS.setdefault(user, (await answer.json())["clientKey"])
    return CLIENT_KEYS[user]


async def forward(request: Request) -> Response:
    """Pass a request on with the user's client key, and its answer back piece by piece."""
    user = user_of(request)
    if user is None:
        return JSONResponse({"detail": "Please log in."}, 401, {"www-authenticate": "Basic"})
    http: aiohttp.ClientSession = request.state.http
    sent = {
        name: request.headers[name]
        for name in ("accept", "content-type", "idempotency-key", "last-event-id")
        if name in request.headers
    }
    answer = await http.request(
        request.method,
        f"{PRIVITY}{request.url.path}?{request.url.query}",
        data=await request.body(),
        headers={
            **sent,
            "authorization": f"Bearer {await client_key_of(user, http)}",
            "x-forwarded-for": request.client.host if request.client else "127.0.0.1",
        },
    )
    # After a rotation of the master keys, Privity signs a client key anew.
    if reissued := answer.headers.get("privity-client-key"):
        CLIENT_KEYS[user] = reissued

    async def pieces() -> AsyncIterator[bytes]:
        async with answer:
            async for piece in answer.content.iter_any():
                yield piece

    kept = {
        name: answer.headers[name]
        for name in ("content-type", "retry-after", "x-accel-buffering")
        if name in answer.headers
    }
    return StreamingResponse(pieces(), answer.status, kept)


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[dict[str, aiohttp.ClientSession]]:
    """One pool of connections to Privity, without a limit on how long a reply may take."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        yield {"http": http}


app = Starlette(
    routes=[
        Route("/api/chat", forward, methods=["GET", "POST", "DELETE"]),
        Route("/api/chat/{path:path}", forward, methods=["GET", "POST", "DELETE"]),
    ],
    lifespan=lifespan,
)
