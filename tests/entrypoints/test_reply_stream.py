"""What is shown of a turn when others were faster, or its log is gone."""

from typing import Any

import pytest

from domain.model.conversation import Conversation
from domain.model.identifiers import ConversationRef
from entrypoints.http.reply_stream import ReplyStream
from entrypoints.http.sse import StreamBroken
from entrypoints.usecases.conversations import ReadHistory
from entrypoints.usecases.follow_turn import FollowTurn
from ports.assistant_profile import AssistantProfile
from ports.clock import Clock
from ports.language_model import LanguageModel
from tests.support.builders import OWNER
from tests.support.fakes import InstantModel
from tests.support.harness import Harness, a_harness


def shown(harness: Harness) -> ReplyStream:
    def resolved(wanted: Any) -> Any:
        return harness.container.resolve(wanted)

    return ReplyStream(
        follow=resolved(FollowTurn),
        history=resolved(ReadHistory),
        profile=resolved(AssistantProfile),
        model=resolved(LanguageModel),
        clock=resolved(Clock),
    )


async def test_who_waited_gets_the_reply_though_somebody_said_more_by_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    harness = a_harness(InstantModel("Hi!"))
    started = await harness.send()

    async def meanwhile(_: ReadHistory, ref: ConversationRef) -> Conversation:
        await harness.send("More!", session_id=ref.session_id)
        return await harness.store.load(ref)

    monkeypatch.setattr(ReadHistory, "whole", meanwhile)
    reply = (await shown(harness).awaited(OWNER, started)).document

    assert reply is not None
    assert reply.reply is not None
    assert (reply.turn_id, reply.reply.id) == (started.turn.id, started.turn.reply_id)
    assert reply.reply.content == "Hi!"


@pytest.mark.parametrize("after", [1, 2, 3])
async def test_who_resumes_behind_what_nobody_has_any_more_is_not_told_that_all_is_well(
    after: int,
) -> None:
    harness = a_harness(InstantModel("One", " two", " three"))
    started = await harness.send()
    await harness.end_of(started)
    harness.log.forget(started.conversation.id)

    stream = shown(harness).resumed(
        ConversationRef(OWNER, started.conversation.id), started.turn, after
    )
    assert await anext(stream) == b": resumed\n\n"
    with pytest.raises(StreamBroken):
        await anext(stream)


async def test_who_resumes_from_the_beginning_is_told_all_without_a_log() -> None:
    harness = a_harness(InstantModel("One", " two", " three"))
    started = await harness.send()
    await harness.end_of(started)
    harness.log.forget(started.conversation.id)

    stream = shown(harness).resumed(
        ConversationRef(OWNER, started.conversation.id), started.turn, None
    )
    told = b"".join([chunk async for chunk in stream])

    assert b'"delta":"One two three"' in told
    assert told.endswith(b"data: [DONE]\n\n")
