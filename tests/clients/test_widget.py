"""The older widget against the real service."""

import asyncio
import json

import pytest

from domain.model.message import SourcePart
from domain.model.piece import SourcePiece
from tests.support.fake_model import FakeModel, ModelReply
from tests.support.legacy_widget import SORRY, Widget, events
from tests.support.native_client import NativeClient
from tests.support.service import RunningService


@pytest.fixture
def widget(service: RunningService) -> Widget:
    return Widget(NativeClient(service.url))


async def with_reply(fake_model: FakeModel, *words: str) -> ModelReply:
    model_reply = await fake_model.next_reply()
    model_reply.send_text(*words)
    model_reply.finish()
    return model_reply


async def test_a_reply_is_shown_and_the_session_is_stored(
    widget: Widget, fake_model: FakeModel
) -> None:
    await asyncio.gather(widget.send("Hello?"), with_reply(fake_model, "Hi", " there"))
    first = widget.session_id
    _, model_reply = await asyncio.gather(widget.send("And?"), with_reply(fake_model, "Well"))

    assert widget.shown[1::2] == [("assistant", "Hi there"), ("assistant", "Well")]
    assert first == widget.session_id
    assert [message.text for message in model_reply.prompt.messages] == [
        "Hello?",
        "Hi there",
        "And?",
    ]
    assert [set(info) for info in widget.metadata] == [{"cost", "latency", "timestamp"}] * 2


async def test_the_events_come_in_the_order_the_widget_expects(
    widget: Widget, fake_model: FakeModel
) -> None:
    answer, _ = await asyncio.gather(widget.send("Hello?"), with_reply(fake_model, "Hi"))

    kinds = [kind for kind, _ in events(answer.body)]
    assert (kinds[0], kinds[-3:]) == ("session-id", ["finish", "finish", "metadata-info"])
    assert "text-delta" in kinds
    assert b"\r" not in answer.body


async def test_the_development_view_shows_the_sources(
    widget: Widget, fake_model: FakeModel
) -> None:
    sources = (
        SourcePart(id="s1", title="A guide", url="https://a.example", excerpt="Once upon"),
        SourcePart(id="s2", title="Notes"),
    )

    async def reply() -> None:
        model_reply = await fake_model.next_reply()
        for source in sources:
            model_reply.send(SourcePiece(source))  # type: ignore[arg-type]
        model_reply.send_text("Hi [1]")
        model_reply.finish()

    answer, _ = await asyncio.gather(widget.send("Why?"), reply())
    await asyncio.gather(widget.send("And?"), with_reply(fake_model, "Hm"))

    assert widget.shown_contexts == [("Why? (0 ms)", [("A guide", "Once upon"), ("Notes", "")])]
    assert [kind for kind, _ in events(answer.body)][-3:] == [
        *("finish", "rag-contexts", "metadata-info"),
    ]
    assert len(widget.shown_times) == 2
    assert widget.contexts[0]["searchResult"]["results"][0]["segment"]["metadata"] == {
        "source": "A guide",
        "title": "A guide",
        "link": "https://a.example",
    }


async def test_a_reload_shows_the_history_until_a_reset(
    widget: Widget, fake_model: FakeModel
) -> None:
    await asyncio.gather(widget.send("Hello?"), with_reply(fake_model, "Hi"))
    shown = list(widget.shown)
    await widget.reload()
    reloaded, session_id = list(widget.shown), widget.session_id
    await widget.reset()
    widget.session_id = session_id
    await widget.reload()

    assert reloaded == shown == [("user", "Hello?"), ("assistant", "Hi")]
    assert (widget.shown, widget.session_id) == ([], None)


async def test_an_expired_session_is_replaced(widget: Widget, fake_model: FakeModel) -> None:
    await asyncio.gather(widget.send("Hello?"), with_reply(fake_model, "Hi"))
    gone = widget.session_id
    await widget.reset()
    widget.session_id = gone
    await asyncio.gather(widget.send("Still there?"), with_reply(fake_model, "Again"))

    assert widget.session_id not in (None, gone)
    assert widget.shown[-1] == ("assistant", "Again")


async def test_a_failed_reply_shows_an_error(widget: Widget, fake_model: FakeModel) -> None:
    async def failing() -> None:
        model_reply = await fake_model.next_reply()
        model_reply.send_text("Hi")
        model_reply.fail()

    await asyncio.gather(widget.send("Hello?"), failing())

    assert widget.shown[-2:] == [("assistant", "Hi"), ("assistant", SORRY)]


async def test_a_rejected_message_shows_an_error(widget: Widget) -> None:
    answer = await widget.send("x" * 8_001)

    assert (answer.status, answer.code) == (413, "message_too_long")
    assert widget.shown[-1] == ("assistant", SORRY)


async def test_the_question_context_reaches_the_model(
    widget: Widget, fake_model: FakeModel
) -> None:
    question = {"questionId": "q1", "questionText": "Should taxes rise?"}
    _, model_reply = await asyncio.gather(
        widget.send("Why?", question), with_reply(fake_model, "Hm")
    )

    assert json.loads(model_reply.prompt.page_context or "null") == question


async def test_a_new_message_interrupts_a_running_reply(
    widget: Widget, fake_model: FakeModel
) -> None:
    async with widget.client.streaming("One", clientId=widget.client_id) as live:
        widget.session_id = (await live.event()).document["sessionId"]
        (await fake_model.next_reply()).send_text("Fir")
        await live.until("text-delta")
        second, _ = await asyncio.gather(widget.send("Two"), with_reply(fake_model, "Second"))
        first = await live.whole()
    await widget.reload()

    assert (second.status, first.clean) == (200, True)
    assert [content for _, content in widget.shown] == ["One", "Fir", "Two", "Second"]


async def test_another_user_cannot_read_the_session(widget: Widget, fake_model: FakeModel) -> None:
    await asyncio.gather(widget.send("Hello?"), with_reply(fake_model, "Hi"))
    thief = Widget(NativeClient(widget.client.url), session_id=widget.session_id)
    await thief.reload()

    assert (thief.shown, thief.session_id) == ([], None)


async def test_the_widget_works_under_a_language_prefix(
    widget: Widget, fake_model: FakeModel
) -> None:
    at = "/en/api/chat"
    _, model_reply = await asyncio.gather(
        widget.send("Hello?", at=at), with_reply(fake_model, "Hi")
    )

    assert model_reply.prompt.locale == "en"
    assert widget.shown[-1] == ("assistant", "Hi")
