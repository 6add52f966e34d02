"""A store or log that fails in unexpected ways: the turn ends all the same."""

from datetime import timedelta
from typing import Any

import pytest

from domain.model.conversation import Conversation
from domain.model.errors import ConversationFull
from domain.model.identifiers import TurnRef
from domain.model.turn import Outcome, TurnEnd
from ports.errors import StoredStateUnreadable, TurnLogNotFound
from tests.support.builders import ID, OWNER, REF, a_conversation, texts_of, turn_id, with_question
from tests.support.fake_model import InstantModel
from tests.support.harness import Harness, a_harness

Patch = pytest.MonkeyPatch


async def a_turn(harness: Harness) -> Conversation:
    conversation = with_question(a_conversation())
    await harness.store.create(OWNER, conversation)
    return conversation


async def logged_end(harness: Harness) -> TurnEnd:
    end = (await harness.log.read(TurnRef(REF, turn_id()), 0, timedelta())).end
    assert end is not None
    return end


def failing(error: Exception) -> Any:
    async def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize("error", [StoredStateUnreadable(), ConversationFull()])
async def test_a_reply_that_cannot_be_stored_ends_as_not_saved(
    error: Exception, monkeypatch: Patch
) -> None:
    harness = a_harness(InstantModel("Hi!"))
    conversation = await a_turn(harness)
    monkeypatch.setattr(harness.store, "update", failing(error))

    await harness.run_turn(conversation)

    assert await logged_end(harness) == TurnEnd(outcome=Outcome.NOT_SAVED, error="reply_not_saved")


async def test_a_crash_while_storing_is_reported_and_ends_the_turn(monkeypatch: Patch) -> None:
    harness = a_harness(InstantModel("Hi!"))
    conversation = await a_turn(harness)
    monkeypatch.setattr(harness.store, "update", failing(KeyError("a secret")))

    await harness.run_turn(conversation)

    assert await logged_end(harness) == TurnEnd(outcome=Outcome.NOT_SAVED, error="internal_error")
    assert harness.telemetry.emitted[0] == ("turn.crashed", {"kind": "KeyError"})


@pytest.mark.parametrize("error", [StoredStateUnreadable(), TurnLogNotFound()])
async def test_a_failing_log_does_not_affect_the_stored_reply(
    error: Exception, monkeypatch: Patch
) -> None:
    harness = a_harness(InstantModel("Hi!"))
    conversation = await a_turn(harness)
    monkeypatch.setattr(harness.log, "append", failing(error))
    monkeypatch.setattr(harness.log, "end", failing(error))

    await harness.run_turn(conversation)

    assert texts_of(await harness.stored(ID)) == ["Hello?", "Hi!"]
    assert harness.telemetry.events == ["turn.finished"]
