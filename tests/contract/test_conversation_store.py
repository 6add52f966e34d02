"""What every store promises: see ``ports.conversation_store``."""

from typing import Any

import pytest
from attrs import evolve

from domain.model.conversation import WORKING_MEMORY, Conversation
from domain.model.errors import (
    ConversationExists,
    ConversationNotFound,
)
from domain.model.identifiers import ConversationRef
from domain.model.message import (
    FilePart,
    FinishReason,
    MessageStatus,
    Part,
    ReasoningPart,
    Role,
    StepMark,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    UnknownPart,
    Usage,
)
from domain.model.piece import Piece, StatePiece, TextPiece
from domain.model.turn import IdempotencyKey
from domain.service.regeneration import regenerate
from domain.service.turn_lifecycle import add_user_message, finish
from ports.conversation_store import ConversationStateStore
from tests.support.builders import (
    ID,
    OTHER_ID,
    OWNER,
    REF,
    STRANGER,
    a_conversation,
    a_message,
    a_new_turn,
    after_turns,
    question_id,
    texts_of,
    turn_id,
    with_question,
    with_user_message,
)
from tests.support.changes import adding_message
from tests.support.clocks import NOON


async def test_a_conversation_that_was_never_created_is_not_found(
    store: ConversationStateStore,
) -> None:
    for reading in (
        store.load(REF),
        store.page(REF, None, 10),
        store.update(REF, adding_message("Hello?")),
    ):
        with pytest.raises(ConversationNotFound):
            await reading


ODD_PARTS: tuple[Part, ...] = (
    TextPart("Grüße 🙂\n\u2028\tعربي"),
    ReasoningPart("Hm"),
    ToolCallPart(call_id="c1", name="look", arguments='{"broken'),
    ToolResultPart(call_id="c1", output="null", failed=True),
    StepMark(),
    FilePart(url="https://example.org/a", media_type="image/png", name="a"),
    UnknownPart('{"type":"new"}'),
)
ODD_REPLY = a_message(
    1,
    role=Role.ASSISTANT,
    parts=ODD_PARTS,
    status=MessageStatus.INTERRUPTED,
    finish_reason=FinishReason.LENGTH,
    usage=Usage(input_tokens=None, output_tokens=3),
)
REQUEST = IdempotencyKey(digest=b"d" * 32, body_digest=b"b" * 32)
CONVERSATIONS = [
    a_conversation(),
    after_turns(3),
    with_question(after_turns(2), "open", 3),
    a_conversation(messages=(ODD_REPLY,), next_number=9),
    a_conversation(summary="Short.", metadata={"k": "v"}, locale="fi"),
    with_user_message(a_conversation(), page_context='{"a":1}'),
    with_user_message(
        a_conversation(prompt_name="taxes", hook_state='{"phase":2}'), hook_state_before="null"
    ),
    add_user_message(
        a_conversation(), a_new_turn(idempotency=REQUEST), question_id(), (TextPart("Hi"),)
    ),
]


@pytest.mark.parametrize("conversation", CONVERSATIONS)
async def test_a_created_conversation_is_loaded_unchanged(
    store: ConversationStateStore, conversation: Conversation
) -> None:
    await store.create(OWNER, conversation)

    assert await store.load(REF) == conversation


async def test_a_repeated_turn_restores_a_state_that_was_not_loaded(
    store: ConversationStateStore,
) -> None:
    conversation = a_conversation()
    for number in range(1, 12):
        opened = with_question(conversation, number=number)
        pieces: list[Piece] = [StatePiece(str(number)), TextPiece("Hi!")]
        conversation = finish(opened, turn_id(number), pieces, NOON, reason=FinishReason.STOP)
    forgotten = evolve(conversation, working_memory_from=conversation.next_number - 2)
    await store.create(OWNER, forgotten)

    changed = await store.update(
        REF,
        lambda stored: regenerate(stored, a_new_turn(12), question_id(3)),
        last=WORKING_MEMORY,
    )

    assert changed.hook_state == "2"
    assert (await store.load(REF, last=1)).hook_state == "2"


@pytest.mark.parametrize("second", [OWNER, STRANGER])
async def test_an_id_cannot_be_created_twice(store: ConversationStateStore, second: Any) -> None:
    await store.create(OWNER, after_turns(1))
    with pytest.raises(ConversationExists):
        await store.create(second, a_conversation())

    assert await store.load(REF) == after_turns(1)


async def test_another_owner_finds_nothing_and_changes_nothing(
    store: ConversationStateStore,
) -> None:
    await store.create(OWNER, after_turns(1))
    await store.forget(ConversationRef(STRANGER, ID))
    for reading in (
        store.load(ConversationRef(STRANGER, ID)),
        store.page(ConversationRef(STRANGER, ID), None, 10),
        store.update(ConversationRef(STRANGER, ID), adding_message("Mine!")),
    ):
        with pytest.raises(ConversationNotFound):
            await reading

    assert await store.load(REF) == after_turns(1)


async def test_conversations_of_one_owner_are_kept_apart(store: ConversationStateStore) -> None:
    await store.create(OWNER, a_conversation())
    await store.create(OWNER, a_conversation(id=OTHER_ID))
    await store.update(REF, adding_message("only here"))

    assert texts_of(await store.load(ConversationRef(OWNER, OTHER_ID))) == []
