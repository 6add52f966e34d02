"""A conversation that no rejected request may change."""

from collections.abc import Awaitable, Callable

from attrs import frozen

from tests.support.http_client import Answer
from tests.support.native_client import NativeClient

Request = Callable[[NativeClient], Awaitable[Answer]]


@frozen(kw_only=True)
class UntouchedConversation:
    """A conversation, its owner's client, and its original history."""

    client: NativeClient
    session_id: str
    history: bytes

    @classmethod
    async def create(cls, client: NativeClient) -> "UntouchedConversation":
        session_id = (await client.send("Keep me")).session_id
        history = (await client.history(session_id)).body
        return cls(client=client, session_id=session_id, history=history)

    async def rejection(self, send: Request) -> tuple[int, str]:
        """Status and code of a request that must fail alike for the owner and for a stranger.

        Also checks that messages, turn and expiry are unchanged, and that no cookie was set.
        """
        answers = [await send(client) for client in (self.client, NativeClient(self.client.url))]
        rejections = {(answer.status, answer.code) for answer in answers}
        assert len(rejections) == 1, rejections
        assert not any("set-cookie" in answer.headers for answer in answers)
        await self.assert_unchanged()
        return rejections.pop()

    async def assert_unchanged(self) -> None:
        assert (await self.client.history(self.session_id)).body == self.history
