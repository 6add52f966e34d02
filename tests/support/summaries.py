"""Conversations that are nearly full, and their summaries."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from domain.model.budget import Budget
from domain.model.conversation import Conversation, new_conversation
from domain.model.identifiers import ConversationRef, ProcessId, SessionId
from domain.model.message import Role
from entrypoints.usecases.fold_summary import FoldSummary
from tests.support.builders import ID, OWNER, with_user_message
from tests.support.clocks import NOON
from tests.support.fake_model import ModelReply, SummarizedModel
from tests.support.harness import PAYER, Harness, a_harness

BUDGET = Budget(tokens=2_048, reply_tokens=256)
OTHER_PROCESS = ProcessId("fedcba9876543210")
A_MINUTE = timedelta(minutes=1)


def a_long_conversation(session_id: SessionId = ID, exchanges: int = 10) -> Conversation:
    """A conversation whose working memory is nearly full."""
    conversation = new_conversation(session_id, locale="en", at=NOON)
    for number in range(1, exchanges + 1):
        conversation = with_user_message(conversation, f"Question {number}. " + "word " * 50)
        conversation = with_user_message(conversation, "yes " * 50, role=Role.ASSISTANT)
    return conversation


def a_summarizing_harness(**members: Any) -> tuple[Harness, SummarizedModel]:
    model = SummarizedModel()
    return a_harness(model, budget=BUDGET, **members), model


async def stored_long(harness: Harness, session_id: SessionId = ID) -> Conversation:
    conversation = a_long_conversation(session_id)
    await harness.store.create(OWNER, conversation)
    return conversation


def start(harness: Harness, conversation: Conversation) -> None:
    """What happens after the end of a turn."""
    ref = ConversationRef(OWNER, conversation.id)
    harness.container.resolve(FoldSummary).start(ref, conversation, PAYER)


async def settled(harness: Harness) -> None:
    """Wait until nothing runs in the background any more."""
    async with asyncio.timeout(10):
        while harness.runner.background:
            await asyncio.wait(set(harness.runner.background))


async def fold(
    harness: Harness, model: SummarizedModel, end: Callable[[ModelReply], None]
) -> Conversation:
    """Fold the stored conversation; ``end`` ends the model's reply."""
    start(harness, await harness.stored(ID))
    end(await model.summaries.next_reply())
    await settled(harness)
    return await harness.stored(ID)


def write(text: str = "They spoke.") -> Callable[[ModelReply], None]:
    def end(reply: ModelReply) -> None:
        reply.send_text(text)
        reply.finish()

    return end


def is_untouched(conversation: Conversation) -> bool:
    state = (conversation.summary, conversation.summarized_until, conversation.working_memory_from)
    return state == (None, 1, 1)


async def turns_until_due(harness: Harness) -> SessionId:
    """The conversation after so many turns that a summary is being written."""
    started = await harness.send("word " * 60)
    for _ in range(50):
        await harness.end_of(started)
        if harness.runner.background:
            return started.conversation.id
        started = await harness.send("word " * 60, session_id=started.conversation.id)
    raise AssertionError("no summary was begun")
