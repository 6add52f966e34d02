"""A conversation that nothing bad may change."""

from collections.abc import Awaitable, Callable

from attrs import frozen

from tests.support.http_client import Answer
from tests.support.native_client import Person

Sending = Callable[[Person], Awaitable[Answer]]


@frozen(kw_only=True)
class Kept:
    """Somebody with a conversation, and its history as it was in the beginning."""

    person: Person
    session_id: str
    history: bytes

    @classmethod
    async def of(cls, person: Person) -> "Kept":
        session_id = (await person.say("Keep me")).session_id
        history = (await person.history(session_id)).body
        return cls(person=person, session_id=session_id, history=history)

    async def refusal(self, send: Sending) -> tuple[int, str]:
        """Status and code that the owner and a stranger get alike; that it did nothing is seen to.

        Messages, turn and end of stay are as they were, and nobody was given a cookie.
        """
        answers = [await send(who) for who in (self.person, Person(self.person.url))]
        told = {(answer.status, answer.code) for answer in answers}
        assert len(told) == 1, told
        assert not any("set-cookie" in answer.headers for answer in answers)
        await self.is_unchanged()
        return told.pop()

    async def is_unchanged(self) -> None:
        assert (await self.person.history(self.session_id)).body == self.history
