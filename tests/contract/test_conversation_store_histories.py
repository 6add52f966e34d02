"""Any sequence of calls, compared with a plain dictionary."""

import asyncio
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any

import pytest
from attrs import define
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from domain.model.conversation import Conversation
from domain.model.errors import ConversationExists, ConversationNotFound, DomainError
from domain.model.identifiers import ConversationRef, Owner, SessionId
from domain.model.message import FinishReason
from domain.service.reply_continuation import continue_reply
from domain.service.turn_lifecycle import fail, finish, interrupt, settle
from ports.conversation_store import Change
from tests.contract.adapters import STORES, StoreHarness
from tests.support.builders import (
    ID,
    OTHER_ID,
    OWNER,
    STRANGER,
    a_conversation,
    a_new_turn,
    pieces_of,
    texts_of,
    turn_id,
    with_question,
)
from tests.support.clocks import NOON

IDS = (ID, OTHER_ID)
owners = st.sampled_from((OWNER, STRANGER))
ids = st.sampled_from(IDS)
numbers = st.integers(1, 12)


@define
class Entry:
    """What the model knows of one conversation."""

    owner: Owner
    conversation: Conversation
    until: datetime


class Histories(RuleBasedStateMachine):
    """Makes the same calls to the store and to the dictionary; both must give the same results."""

    adapter = ""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        opening = self.stack.enter_async_context(STORES[self.adapter]())
        self.harness: StoreHarness = self.runner.run(self._get(opening))
        self.entries: dict[SessionId, Entry] = {}
        self.now = NOON

    def teardown(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()

    @staticmethod
    async def _get(waiting: Any) -> Any:
        return await waiting

    def outcome(self, waiting: Any) -> Any:
        """What a call returned, or the type of its error."""
        try:
            return self.runner.run(self._get(waiting))
        except DomainError as error:
            return type(error)

    @rule(owner=owners, session=ids)
    def create(self, owner: Owner, session: SessionId) -> None:
        conversation = a_conversation(id=session, created_at=self.now, retained_since=self.now)
        result = self.outcome(self.harness.store.create(owner, conversation))
        if session in self.entries:
            assert result is ConversationExists
        else:
            assert result is None
            self.entries[session] = Entry(owner, conversation, conversation.expires_at)

    @rule(owner=owners, session=ids, number=numbers)
    def begin(self, owner: Owner, session: SessionId, number: int) -> None:
        now = self.now
        self._update(
            owner, session, lambda c: with_question(c, f"question {number}", number, at=now)
        )

    @rule(owner=owners, session=ids, number=numbers)
    def go_on(self, owner: Owner, session: SessionId, number: int) -> None:
        now = self.now
        self._update(owner, session, lambda c: continue_reply(c, a_new_turn(number, at=now)))

    @rule(
        owner=owners,
        session=ids,
        number=numbers,
        step=st.sampled_from(["finish", "interrupt", "fail", "settle"]),
    )
    def end(self, owner: Owner, session: SessionId, number: int, step: str) -> None:
        now, turn, pieces = self.now, turn_id(number), pieces_of("an ", "answer")
        steps: dict[str, Change] = {
            "finish": lambda c: finish(c, turn, pieces, now, reason=FinishReason.STOP),
            "interrupt": lambda c: interrupt(c, turn, pieces, now),
            "fail": lambda c: fail(c, turn, pieces, now, "model_failed"),
            "settle": lambda c: settle(c, turn, pieces, now),
        }
        self._update(owner, session, steps[step])

    def _update(self, owner: Owner, session: SessionId, change: Change) -> None:
        result = self.outcome(self.harness.store.update(ConversationRef(owner, session), change))
        entry = self.entries.get(session)
        if entry is None or entry.owner != owner:
            assert result is ConversationNotFound
            return
        changed = _outcome_of(change, entry.conversation)
        assert result == changed
        if not isinstance(changed, Conversation):
            return
        if changed.expires_at != entry.conversation.expires_at:
            entry.until = self.now + changed.retained_for
        entry.conversation = changed

    @rule(owner=owners, session=ids)
    def forget(self, owner: Owner, session: SessionId) -> None:
        assert self.outcome(self.harness.store.forget(ConversationRef(owner, session))) is None
        if session in self.entries and self.entries[session].owner == owner:
            del self.entries[session]

    @rule(minutes=st.sampled_from([1, 59, 61, 12 * 60, 24 * 60]))
    def pass_time(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)
        self.runner.run(self._get(self.harness.pass_time(timedelta(minutes=minutes))))
        self.entries = {
            name: entry for name, entry in self.entries.items() if entry.until > self.now
        }

    @rule(owner=owners, session=ids, limit=st.integers(1, 5))
    def page(self, owner: Owner, session: SessionId, limit: int) -> None:
        result = self.outcome(self.harness.store.page(ConversationRef(owner, session), None, limit))
        entry = self.entries.get(session)
        if entry is None or entry.owner != owner:
            assert result is ConversationNotFound
        else:
            shown = [message.text for message in result.messages]
            assert shown == texts_of(entry.conversation)[-limit:]

    @invariant()
    def both_hold_the_same(self) -> None:
        for session in IDS:
            for owner in (OWNER, STRANGER):
                entry = self.entries.get(session)
                is_theirs = entry is not None and entry.owner == owner
                expected = entry.conversation if entry and is_theirs else ConversationNotFound
                assert (
                    self.outcome(self.harness.store.load(ConversationRef(owner, session)))
                    == expected
                )


def _outcome_of(change: Change, conversation: Conversation) -> Conversation | type[DomainError]:
    try:
        return change(conversation)
    except DomainError as error:
        return type(error)


@pytest.mark.parametrize("adapter", sorted(STORES))
def test_a_store_behaves_like_a_dictionary_in_any_sequence_of_calls(adapter: str) -> None:
    machine = type("Histories", (Histories,), {"adapter": adapter})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40,
            stateful_step_count=25,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
