"""A store or a log that fails in ways nobody waits for: the turn has an end all the same."""

from datetime import timedelta
from typing import Any

import pytest

from domain.model.conversation import Conversation
from domain.model.errors import ConversationTooLarge
from domain.model.turn import Outcome, TurnEnd
from ports.errors import StoredStateUnreadable, TurnLogNotFound
from tests.support.builders import ID, OWNER, a_conversation, asked, texts_of, turn_id
from tests.support.fakes import Calm, Saying
from tests.support.harness import Room, a_room

Patch = pytest.MonkeyPatch


async def a_turn(room: Room) -> Conversation:
    conversation = asked(a_conversation())
    await room.store.create(OWNER, conversation)
    return conversation


async def logged_end(room: Room) -> TurnEnd:
    entries = await room.log.read(OWNER, ID, turn_id(), 0, timedelta())
    assert isinstance(entries[-1], TurnEnd)
    return entries[-1]


def failing(error: Exception) -> Any:
    async def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize("error", [StoredStateUnreadable(), ConversationTooLarge()])
async def test_a_reply_that_cannot_be_stored_ends_by_saying_so(
    error: Exception, monkeypatch: Patch
) -> None:
    room = a_room(Saying("Hi!"))
    conversation = await a_turn(room)
    monkeypatch.setattr(room.store, "update", failing(error))

    await room.run_turn(OWNER, conversation, Calm())

    assert await logged_end(room) == TurnEnd(outcome=Outcome.NOT_SAVED, error="reply_not_saved")


async def test_a_defect_while_storing_is_noted_and_told(monkeypatch: Patch) -> None:
    room = a_room(Saying("Hi!"))
    conversation = await a_turn(room)
    monkeypatch.setattr(room.store, "update", failing(KeyError("a secret")))

    await room.run_turn(OWNER, conversation, Calm())

    assert await logged_end(room) == TurnEnd(outcome=Outcome.NOT_SAVED, error="internal_error")
    assert room.telemetry.emitted[0] == ("turn.crashed", {"kind": "KeyError"})


@pytest.mark.parametrize("error", [StoredStateUnreadable(), TurnLogNotFound()])
async def test_a_log_that_fails_takes_nothing_from_the_reply(
    error: Exception, monkeypatch: Patch
) -> None:
    room = a_room(Saying("Hi!"))
    conversation = await a_turn(room)
    monkeypatch.setattr(room.log, "append", failing(error))
    monkeypatch.setattr(room.log, "end", failing(error))

    await room.run_turn(OWNER, conversation, Calm())

    assert texts_of(await room.stored(ID)) == ["Hello?", "Hi!"]
    assert room.telemetry.events == ["turn.finished"]
