"""How a stream ends: whole, stopped, broken off, or with nobody there."""

import pytest

from ports.language_model import ModelTimedOut
from tests.support.event_stream import documents, kinds
from tests.support.fake_model import Puppet
from tests.support.http_client import Answer
from tests.support.native_client import Person, eventually


async def a_reply(person: Person, puppet: Puppet, *texts: str) -> Answer:
    """A finished reply of these pieces, which are ready together."""
    async with person.saying("Go on") as live:
        speaking = await puppet.asked()
        speaking.say(*texts)
        speaking.finish()
        return await live.whole()


async def test_done_comes_before_the_metadata(person: Person, puppet: Puppet) -> None:
    answer = await a_reply(person, puppet, "Hi")

    info = answer.events[-1].document
    assert kinds(answer.events)[-2:] == ["[DONE]", "metadata-info"]
    assert set(info) == {"cost", "latency", "timestamp"}
    assert info["cost"] is None
    assert 0 <= info["latency"] < 10_000
    assert info["timestamp"] > 1_700_000_000_000


@pytest.mark.parametrize("texts", [(), ("Hel",)])
async def test_a_failure_is_an_error_event_and_then_an_unclean_end(
    person: Person, puppet: Puppet, texts: tuple[str, ...]
) -> None:
    async with person.saying("Hello?") as live:
        speaking = await puppet.asked()
        speaking.say(*texts)
        speaking.fail(ModelTimedOut())
        answer = await live.whole()

    said = ["text-start", "text-delta", "text-end"] if texts else []
    error = answer.events[-1].document
    assert kinds(answer.events) == ["session-id", "start", "start-step", *said, "error"]
    assert error["errorText"] == ModelTimedOut.message
    assert error["code"] == "model_timeout"
    assert not answer.clean


async def test_a_stopped_reply_ends_cleanly_with_abort(person: Person, puppet: Puppet) -> None:
    async with person.saying("Hello?") as live:
        session_id = (await live.event()).document["sessionId"]
        (await puppet.asked()).say("Hel")
        await live.until("text-delta")
        await person.stop(session_id)
        answer = await live.whole()

    ending = ["text-end", "message-metadata", "abort", "[DONE]", "metadata-info"]
    assert kinds(answer.events)[-5:] == ending
    assert documents(answer.events, "message-metadata")[0]["messageMetadata"] == {
        "aborted": True,
        "expiresAt": (await person.history(session_id)).document["expiresAt"],
    }
    assert answer.clean


async def test_a_client_that_leaves_finds_the_finished_reply(
    person: Person, puppet: Puppet
) -> None:
    async with person.saying("Hello?") as live:
        session_id = (await live.event()).document["sessionId"]
        speaking = await puppet.asked()
        speaking.say("Hel")
        await live.until("text-delta")
    speaking.say("lo")
    speaking.finish()
    await eventually(lambda: person.has_ended(session_id))

    assert await person.said(session_id) == [("user", "Hello?"), ("assistant", "Hello")]
