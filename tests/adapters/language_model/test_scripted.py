"""The text of the built-in script's replies."""

from datetime import timedelta

from attrs import evolve

from adapters.language_model.scripted import ScriptedModel
from domain.model.assistant import Assistant
from domain.model.budget import Budget
from domain.model.message import Message, Role, TextPart
from domain.model.piece import TextPiece
from domain.model.prompt import Prompt
from domain.service.summarizing import next_fold
from tests.support.builders import a_message, after_turns, an_image
from tests.support.clocks import NOON, HastyClock
from tests.support.model_client import PROMPT

INTRODUCTION = "I am not a language model, only Privity's built-in script."


async def reply_to(*messages: Message, continues_reply: bool = False) -> str:
    return await text_of(evolve(PROMPT, messages=messages, continues_reply=continues_reply))


async def text_of(prompt: Prompt) -> str:
    model = ScriptedModel(clock=HastyClock(), pause=timedelta())
    pieces = [piece async for piece in model.reply(prompt)]
    return "".join(piece.text for piece in pieces if isinstance(piece, TextPiece))


async def test_the_first_reply_quotes_the_message() -> None:
    assert await reply_to(a_message(text="Hi.")) == (
        f'{INTRODUCTION} You said: "Hi."\n\nSay something else, and I will remember this.'
    )


async def test_a_later_reply_lists_the_earlier_messages() -> None:
    reply = await reply_to(*(a_message(number, f"Number {number}") for number in range(1, 9)))

    assert reply.split("\n\n")[:3] == [
        f'{INTRODUCTION} You said: "Number 8"',
        "I remember 7 earlier messages of yours in this conversation:",
        '3. "Number 3"\n4. "Number 4"\n5. "Number 5"\n6. "Number 6"\n7. "Number 7"',
    ]


async def test_a_reply_that_was_stopped_is_continued_where_it_ended() -> None:
    question = a_message(text="Hi.")
    whole = await reply_to(question)
    for length in (1, 4, 5, len(whole)):
        half = a_message(2, whole[:length], role=Role.ASSISTANT)
        assert await reply_to(question, half, continues_reply=True) == whole[length:]


async def test_images_are_counted() -> None:
    image = an_image()
    texts = {
        (TextPart("Hi."), image): 'You said: "Hi.", with an image',
        (TextPart("Hi."), image, image): 'You said: "Hi.", with 2 images',
        (image,): "You said: an image",
    }
    for parts, expected in texts.items():
        assert expected in await reply_to(a_message(parts=parts))


async def test_a_long_quotation_is_cut_between_words() -> None:
    reply = await reply_to(a_message(text="word " * 40))

    assert reply.split("\n\n")[0] == f'{INTRODUCTION} You said: "{"word " * 15}word …"'


async def test_a_summary_quotes_the_user_and_keeps_the_summary_so_far() -> None:
    conversation = evolve(after_turns(3), summary="They met.", summarized_until=3)
    assistant = Assistant(system_prompt="", welcomes={"en": "Hi!"})
    budget = Budget(tokens=4_000, reply_tokens=400)
    fold = next_fold(conversation, assistant, budget, until=7, at=NOON)

    assert fold is not None
    assert await text_of(fold.prompt) == ('They met. The user said: "question 2", "question 3".')


async def test_a_reply_repeats_the_summary() -> None:
    prompt = evolve(PROMPT, messages=(a_message(1), a_message(2)), summary="They met.")

    assert "I know this summary: They met." in await text_of(prompt)
