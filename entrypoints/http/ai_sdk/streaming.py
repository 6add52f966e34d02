"""A new turn as the AI SDK's stream.

It tells the session in the metadata of ``start``, which stays with the message, and in a transient
part, which only reaches ``onData``. Unlike the native one it ends cleanly also when it failed: the
client goes by the ``error`` chunk.
"""

from collections.abc import AsyncGenerator

from domain.model.identifiers import Owner
from entrypoints.http.reply_stream import ReplyStream
from entrypoints.http.sse import DONE, StreamBroken, event
from entrypoints.usecases.start_turn import Started


async def ai_sdk_stream(
    stream: ReplyStream, owner: Owner, started: Started
) -> AsyncGenerator[bytes, None]:
    """The events of a turn that was just opened, or joined."""
    told = {"sessionId": started.conversation.id, "restarted": started.restarted}
    hello: bytes | None = event({"type": "data-session", "data": told, "transient": True})
    try:
        async for chunk in stream.turn(owner, started, told):
            yield chunk + (hello or b"")
            hello = None
    except StreamBroken:
        yield DONE
