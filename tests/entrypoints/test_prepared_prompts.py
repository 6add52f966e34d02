"""What a hook wants has to fit the model's context window, together with the messages."""

import pytest

from domain.model.budget import Budget
from domain.model.message import SourcePart
from domain.model.preparation import Preparation
from domain.model.prompt import Passage, Prompt, Tool
from domain.model.turn import Outcome
from tests.support.fake_model import InstantModel, NarrowModel
from tests.support.harness import a_harness
from tests.support.scripted_hook import ScriptedHook

SMALL = Budget(tokens=1_024, reply_tokens=128)


def long_passages(words: int) -> tuple[Passage, ...]:
    return tuple(Passage(title=f"Title {number}", text="word " * words) for number in range(1, 5))


async def test_older_messages_leave_for_the_passages_and_stay_out() -> None:
    hook = ScriptedHook(*[Preparation()] * 5, Preparation(passages=long_passages(100)))
    model = InstantModel("Hi!")
    harness = a_harness(model, hook=hook, budget=SMALL, summaries=False)
    started = await harness.send("word " * 40)
    await harness.end_of(started)
    for _ in range(4):
        more = await harness.send("word " * 40, session_id=started.conversation.id)
        await harness.end_of(more)
    newest = await harness.send("word " * 40, session_id=started.conversation.id)
    end = await harness.end_of(newest)

    before, last = model.prompts[-2:]
    stored = await harness.stored(started.conversation.id)
    assert len(last.messages) < len(before.messages)
    assert stored.working_memory_from == last.messages[0].number == end.working_memory_from
    assert end.prompt_report is not None
    assert end.prompt_report.messages_seen == len(last.messages)


async def test_only_passages_that_the_model_was_given_become_sources() -> None:
    model = InstantModel("Hi!")
    hook = ScriptedHook(Preparation(passages=long_passages(250)))
    harness = a_harness(model, hook=hook, budget=SMALL)

    started = await harness.send()
    await harness.end_of(started)

    [prompt] = model.prompts
    titles = [passage.title for passage in prompt.options.passages]
    reply = (await harness.stored(started.conversation.id)).messages[-1]
    assert 0 < len(titles) < 4
    assert [part.title for part in reply.parts if isinstance(part, SourcePart)] == titles


@pytest.mark.parametrize(
    ("answer", "field"),
    [
        (Preparation(instructions="word " * 2_000), "instructions"),
        (Preparation(tools=(Tool(name="a", parameters=f'["{"word " * 2_000}"]'),)), "tools"),
    ],
)
async def test_an_answer_for_which_there_is_no_room_is_invalid(
    answer: Preparation, field: str
) -> None:
    model = InstantModel("Hi!")
    harness = a_harness(model, hook=ScriptedHook(answer), budget=SMALL)

    end = await harness.end_of(await harness.send())

    [fields] = harness.telemetry.fields_of("hook.failed")
    assert end.error == "hook_answer_invalid"
    assert (fields["field"], fields["reason"]) == (field, "too-long")
    assert model.prompts == []


async def test_after_a_refusal_the_prompt_has_fewer_passages() -> None:
    model = NarrowPassages(700)
    hook = ScriptedHook(Preparation(passages=long_passages(150)))
    harness = a_harness(model, hook=hook, budget=Budget(tokens=4_096, reply_tokens=128))

    started = await harness.send()
    end = await harness.end_of(started)

    [refused], [prompt] = model.refused, model.prompts
    assert end.outcome is Outcome.FINISHED
    assert len(prompt.options.passages) < len(refused.options.passages) == 4
    reply = (await harness.stored(started.conversation.id)).messages[-1]
    sources = [part for part in reply.parts if isinstance(part, SourcePart)]
    assert len(sources) == len(prompt.options.passages)


class NarrowPassages(NarrowModel):
    """Counts the passages too."""

    def tokens_of(self, prompt: Prompt) -> int:
        return super().tokens_of(prompt) + len(prompt.passages or "") // 2
