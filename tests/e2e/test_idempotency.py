"""The same request twice is one turn, as long as it says so with an Idempotency-Key."""

import asyncio

from tests.support.event_stream import text_of, without_padding
from tests.support.fake_model import Puppet
from tests.support.http_client import JSON, Answer
from tests.support.native_client import Person, eventually

KEY = "a-key-of-mine"


async def keyed(person: Person, text: str, session_id: str | None = None) -> Answer:
    named = {} if session_id is None else {"sessionId": session_id}
    body = {"message": text, **named}
    return await person.post("/api/chat", body, idempotency_key=KEY)


async def test_a_retry_joins_the_running_reply(person: Person, puppet: Puppet) -> None:
    await person.get("/")
    async with person.saying("Hello?", key=KEY) as live:
        await live.event()
        speaking = await puppet.asked()
        speaking.say("Hel")
        await live.until("text-delta")
        async with person.saying("Hello?", key=KEY) as retry:
            await retry.until("text-delta")
            speaking.say("lo")
            speaking.finish()
            first, second = await live.whole(), await retry.whole()

    assert without_padding(first.events)[:-1] == without_padding(second.events)[:-1]
    assert text_of(second.events) == "Hello"
    assert puppet.times_asked == 1
    assert len(await person.said(first.session_id)) == 2


async def test_a_retry_after_the_end_replays_the_same_reply(person: Person, puppet: Puppet) -> None:
    await person.get("/")
    async with person.saying("Hello?", key=KEY) as live:
        speaking = await puppet.asked()
        speaking.say("Hello")
        speaking.finish()
        first = await live.whole()

    second = await keyed(person, "Hello?")

    assert without_padding(second.events)[:-1] == without_padding(first.events)[:-1]
    assert puppet.times_asked == 1


async def test_two_at_the_same_time_are_one_turn(person: Person, puppet: Puppet) -> None:
    await person.get("/")
    both = [asyncio.create_task(keyed(person, "Hello?")) for _ in range(2)]
    speaking = await puppet.asked()
    speaking.say("Hello")
    speaking.finish()

    first, second = [await answer for answer in both]
    assert first.session_id == second.session_id
    assert puppet.times_asked == 1


async def test_the_same_key_with_another_body_is_refused(visitor: Person) -> None:
    await visitor.get("/")
    first = await keyed(visitor, "Hello?")

    second = await keyed(visitor, "Something else")

    assert (second.status, second.code) == (422, "idempotency_key_reused")
    assert len(await visitor.said(first.session_id)) == 2


async def test_the_same_key_with_another_body_is_refused_within_a_conversation(
    visitor: Person,
) -> None:
    session_id = (await visitor.say("Before")).session_id
    await keyed(visitor, "Hello?", session_id)

    again = await keyed(visitor, "Hello?", session_id)
    other = await keyed(visitor, "Something else", session_id)

    assert again.status == 200
    assert (other.status, other.code) == (422, "idempotency_key_reused")
    assert len(await visitor.said(session_id)) == 4


async def test_the_key_of_a_first_message_is_used_up_when_the_conversation_goes_on(
    visitor: Person,
) -> None:
    await visitor.get("/")
    first = await keyed(visitor, "Hello?")
    headers = {"idempotency_key": "another-key"}
    body = {"message": "And?", "sessionId": first.session_id}
    await visitor.post("/api/chat", body, **headers)

    retry = await keyed(visitor, "Hello?")

    assert (retry.status, retry.code) == (422, "idempotency_key_reused")
    assert len(await visitor.said(first.session_id)) == 4


async def test_a_retry_of_a_first_message_never_speaks_twice_in_a_longer_conversation(
    visitor: Person,
) -> None:
    await visitor.get("/")
    first = await keyed(visitor, "Hello?")
    await visitor.say("And?", first.session_id)
    before = await visitor.said(first.session_id)

    await keyed(visitor, "Hello?")

    assert await visitor.said(first.session_id) == before


async def test_two_people_may_use_the_same_key(visitor: Person) -> None:
    other = Person(visitor.url)
    await visitor.get("/")
    await other.get("/")

    first, second = await keyed(visitor, "Mine"), await keyed(other, "Yours")

    assert [first.status, second.status] == [200, 200]
    assert first.session_id != second.session_id


async def test_a_failure_before_the_first_piece_frees_the_key(
    person: Person, puppet: Puppet
) -> None:
    await person.get("/")
    async with person.saying("Hello?", key=KEY) as live:
        session_id = (await live.event()).document["sessionId"]
        (await puppet.asked()).fail()
        await live.whole()

    async with person.saying("Hello?", key=KEY) as live:
        speaking = await puppet.asked()
        speaking.say("Hello")
        speaking.finish()
        answer = await live.whole()

    assert answer.session_id == session_id
    assert text_of(answer.events) == "Hello"
    assert await person.said(session_id) == [("user", "Hello?"), ("assistant", "Hello")]


async def test_a_failure_after_the_first_piece_keeps_the_key(
    person: Person, puppet: Puppet
) -> None:
    await person.get("/")
    async with person.saying("Hello?", key=KEY) as live:
        session_id = (await live.event()).document["sessionId"]
        speaking = await puppet.asked()
        speaking.say("Hel")
        speaking.fail()
        await eventually(lambda: person.has_ended(session_id))

    retry = await keyed(person, "Hello?")

    assert text_of(retry.events) == "Hel"
    assert not retry.clean
    assert puppet.times_asked == 1


async def test_another_answer_can_be_asked_for_once(visitor: Person) -> None:
    session_id = (await visitor.say("Hello?")).session_id
    where = f"/api/chat/{session_id}/regenerate"
    first = (await visitor.post(where, {}, idempotency_key=KEY, **JSON)).document

    second = (await visitor.post(where, {}, idempotency_key=KEY, **JSON)).document
    third = await visitor.post(where, {"onBusy": "interrupt"}, idempotency_key=KEY)

    assert first["turnId"] == second["turnId"]
    assert third.code == "idempotency_key_reused"
