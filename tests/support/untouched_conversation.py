"""A conversation that nothing bad may change."""

from collections.abc import Awaitable, Callable

from attrs import frozen

from tests.support.http_client import Answer
from tests.support.native_client import NativeClient

Sending = Callable[[NativeClient], Awaitable[Answer]]


@frozen(kw_only=True)
class UntouchedConversation:
    """Somebody with a conversation, and its history as it was in the beginning."""

    client: NativeClient
    session_id: str
    history: bytes

    @classmethod
    async def of(cls, client: NativeClient) -> "UntouchedConversation":
        session_id = (await client.say("Keep me")).session_id
        history = (await client.history(session_id)).body
        return cls(client=client, session_id=session_id, history=history)

    async def refusal(self, send: Sending) -> tuple[int, str]:
        """Status and code that the owner and a stranger get alike; that it did nothing is seen to.

        Messages, turn and end of stay are as they were, and nobody was given a cookie.
        """
        answers = [await send(who) for who in (self.client, NativeClient(self.client.url))]
        told = {(answer.status, answer.code) for answer in answers}
        assert len(told) == 1, told
        assert not any("set-cookie" in answer.headers for answer in answers)
        await self.is_unchanged()
        return told.pop()

    async def is_unchanged(self) -> None:
        assert (await self.client.history(self.session_id)).body == self.history
