"""Tools that the host page runs."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import punq
import pytest
import pytest_asyncio
from attrs import evolve
from playwright.async_api import Browser, expect

from adapters.assistant_profile.toml_file import NEUTRAL
from domain.model.assistant import Assistant
from domain.model.message import FinishReason, ToolResultPart
from domain.model.piece import TextPiece, ToolCallPiece
from domain.model.prompt import Tool
from domain.model.tool_settings import ToolSettings
from tests.support.browser import Chat, Visitor
from tests.support.embedding_pages import embed, open_panel
from tests.support.fake_model import FakeModel, ModelReply
from tests.support.service import UNLIMITED, RunningService, running_service

pytestmark = pytest.mark.asyncio(loop_scope="session")
TOOLS: Final = ToolSettings(
    client=tuple(
        Tool(name=name, description="Shows something.", parameters='{"type":"object"}')
        for name in ("show_map", "show_route")
    )
)
# The policy of the host page forbids code from strings, so this becomes part of the evaluated code.
REGISTER: Final = """() => {
    globalThis.calls ??= [];
    globalThis.hasBegun ??= new Promise((resolve) => { globalThis.begin = resolve; });
    privity.tool("NAME", (args, options) => {
        calls.push(["NAME", args]);
        begin(true);
        CODE;
    });
}"""
WAIT: Final = "return new Promise((resolve) => { globalThis.finish = resolve; })"
WAIT_UNTIL_ABORTED: Final = (
    "options.signal.onabort = () => { globalThis.aborted = true; }; return new Promise(() => {})"
)
WAITING_LOCKS: Final = "navigator.locks.query().then(({ pending }) => pending.length)"
RUNNING: Final = "Using a tool: show_map …"
USED: Final = "Used a tool: show_map"
NO_RESULT: Final = "A tool gave no result: show_map"


@pytest_asyncio.fixture(loop_scope="session")
async def service(browser: Browser, fake_model: FakeModel) -> AsyncIterator[RunningService]:  # noqa: ARG001 - without a browser nothing is served
    def replacing(container: punq.Container) -> None:
        container.register(Assistant, instance=evolve(NEUTRAL, tools=TOOLS))

    async with running_service(UNLIMITED, model=fake_model, replacing=replacing) as service:
        yield service


@pytest_asyncio.fixture(loop_scope="session")
async def chat(visitor: Visitor) -> Chat:
    return await open_host(visitor)


async def open_host(visitor: Visitor) -> Chat:
    """A tab with a host page whose widget is open."""
    chat = await embed(visitor, visitor.url, visitor.url)
    await chat.page.evaluate("customElements.whenDefined('privity-chat').then(() => true)")
    await open_panel(chat)
    return chat


async def register(chat: Chat, code: str, name: str = "show_map") -> None:
    """Let the host page run this tool with this code."""
    await chat.evaluate(REGISTER.replace("NAME", name).replace("CODE", code))


async def calls(chat: Chat) -> object:
    return await chat.evaluate("globalThis.calls ?? []")


def call_tool(
    reply: ModelReply, arguments: str = '{"city":"Oslo"}', name: str = "show_map", number: int = 1
) -> None:
    reply.send(ToolCallPiece(call_id=f"call_{number}", name=name, arguments=arguments))


async def ask(chat: Chat, fake_model: FakeModel) -> None:
    """A question whose reply calls the tool."""
    await chat.send("Where is it?")
    reply = await fake_model.next_reply()
    reply.send(TextPiece("Look."))
    call_tool(reply)
    reply.finish(FinishReason.TOOL_CALLS)


async def results(fake_model: FakeModel) -> tuple[ModelReply, Sequence[tuple[str, bool]]]:
    """The reply that goes on, and the outputs that the model has been given for it."""
    reply = await fake_model.next_reply()
    parts = reply.prompt.messages[-1].parts
    return reply, [(part.output, part.failed) for part in parts if isinstance(part, ToolResultPart)]


async def test_the_host_page_runs_a_tool_and_the_reply_goes_on(
    chat: Chat, fake_model: FakeModel
) -> None:
    await register(chat, WAIT)
    await ask(chat, fake_model)
    tools = chat.messages.last.locator(".tools")
    await expect(tools).to_have_text(RUNNING)
    await expect(chat.button("Stop")).to_be_visible()
    await chat.evaluate("hasBegun")
    await chat.evaluate("finish({shown: [59.9, 10.7]})")
    reply, outputs = await results(fake_model)
    await expect(tools).to_have_text(USED)
    reply.send_text("There it is.")
    reply.finish()

    await chat.expect_reply("Look.There it is.")
    assert await calls(chat) == [["show_map", {"city": "Oslo"}]]
    assert outputs == [('{"shown":[59.9,10.7]}', False)]
    await chat.page.reload()
    await open_panel(chat)
    await expect(chat.replies.last).to_have_text("Look.There it is.")
    await expect(tools).to_have_text(USED)


async def test_a_reply_may_call_several_tools_and_call_again(
    chat: Chat, fake_model: FakeModel
) -> None:
    await register(chat, "return args.city")
    await register(chat, "return null", name="show_route")
    await chat.send("Where is it?")
    first = await fake_model.next_reply()
    call_tool(first)
    call_tool(first, "", name="show_route", number=2)
    first.finish(FinishReason.TOOL_CALLS)
    second, outputs = await results(fake_model)
    call_tool(second, '{"city":"Rome"}', number=3)
    second.finish(FinishReason.TOOL_CALLS)
    third, further = await results(fake_model)
    third.send_text("There.")
    third.finish()

    await chat.expect_reply("There.")
    assert outputs == [('"Oslo"', False), ("null", False)]
    assert further[-1:] == [('"Rome"', False)]
    await expect(chat.messages.last.locator(".tools")).to_have_text(
        f"{USED} Used a tool: show_route"
    )


@pytest.mark.parametrize(
    ("code", "arguments", "output"),
    [
        ("throw new Error('No such city.')", "{}", '"No such city."'),
        ("return 10n", "{}", '"The result of this tool is not JSON."'),
        ("return 'x'.repeat(40_000)", "{}", '"The result of this tool is too long."'),
        ("return 1", "{city", '"The arguments are not JSON."'),
    ],
)
async def test_the_model_sees_why_a_tool_failed(
    chat: Chat, fake_model: FakeModel, code: str, arguments: str, output: str
) -> None:
    await register(chat, code)
    await chat.send("Where is it?")
    first = await fake_model.next_reply()
    call_tool(first, arguments)
    first.finish(FinishReason.TOOL_CALLS)
    reply, outputs = await results(fake_model)
    reply.send_text("Sorry.")
    reply.finish()

    await chat.expect_reply("Sorry.")
    assert outputs == [(output, True)]
    await expect(chat.messages.last.locator(".tools")).to_have_text(NO_RESULT)


async def test_a_tool_that_the_page_does_not_have_fails_after_a_short_wait(
    visitor: Visitor, fake_model: FakeModel
) -> None:
    chat = await visitor.open()
    await ask(chat, fake_model)
    reply, outputs = await results(fake_model)
    reply.send_text("Sorry.")
    reply.finish()

    await chat.expect_reply("Look.Sorry.")
    assert outputs == [('"This tool is not available on the page that the user has open."', True)]


async def test_a_tool_may_be_registered_after_the_call(chat: Chat, fake_model: FakeModel) -> None:
    await chat.page.clock.install()
    await chat.send("Where is it?")
    reply = await fake_model.next_reply()
    reply.send_text("Look.")
    await expect(chat.replies.last).to_have_text("Look.")
    # The page waits two seconds for the tool, by a clock that now moves in small steps only.
    await chat.page.clock.pause_at(datetime.now(UTC) + timedelta(minutes=1))
    call_tool(reply)
    reply.finish(FinishReason.TOOL_CALLS)
    tools = chat.messages.last.locator(".tools")
    async with asyncio.timeout(60):
        while await tools.text_content() != RUNNING:
            await chat.page.clock.run_for(20)
    await register(chat, "return 'late'")
    await chat.page.clock.resume()
    reply, outputs = await results(fake_model)
    reply.finish()

    assert outputs == [('"late"', False)]


async def test_only_the_tab_that_asked_runs_the_tool(
    visitor: Visitor, fake_model: FakeModel
) -> None:
    asking, watching = await open_host(visitor), await open_host(visitor)
    for chat in (asking, watching):
        await register(chat, WAIT)
    await watching.page.clock.install()
    await ask(asking, fake_model)
    await asking.evaluate("hasBegun")
    await expect(watching.messages.last.locator(".tools")).to_have_text(RUNNING)
    await watching.page.clock.fast_forward(5_000)
    # Now the other tab would take over if it did not have to wait for the first one.
    async with asyncio.timeout(20):
        while not await watching.evaluate(WAITING_LOCKS):
            pass
    await asking.evaluate("finish(1)")
    reply, outputs = await results(fake_model)
    reply.send_text("There.")
    reply.finish()

    await watching.expect_reply("Look.There.")
    assert outputs == [("1", False)]
    assert await calls(watching) == []


async def test_another_tab_takes_over_a_call_whose_tab_was_closed(
    visitor: Visitor, fake_model: FakeModel
) -> None:
    asking, other = await visitor.open(), await open_host(visitor)
    await register(other, "return 'here'")
    await asking.send("Where is it?")
    reply = await fake_model.next_reply()
    reply.send_text("Look.")
    await expect(other.replies.last).to_have_text("Look.")
    await asking.page.close()
    call_tool(reply)
    reply.finish(FinishReason.TOOL_CALLS)
    reply, outputs = await results(fake_model)
    reply.send_text("There.")
    reply.finish()

    await other.expect_reply("Look.There.")
    assert outputs == [('"here"', False)]


async def test_a_call_is_not_begun_again_after_a_reload(chat: Chat, fake_model: FakeModel) -> None:
    await register(chat, "return new Promise(() => {})")
    await ask(chat, fake_model)
    await chat.evaluate("hasBegun")
    await chat.page.reload()
    await chat.page.evaluate("customElements.whenDefined('privity-chat').then(() => true)")
    await register(chat, "return 'again'")
    await open_panel(chat)
    reply, outputs = await results(fake_model)
    reply.send_text("Was it?")
    reply.finish()

    await chat.expect_reply("Look.Was it?")
    assert await calls(chat) == []
    [(output, failed)] = outputs
    assert "it is unknown whether it had an effect" in output
    assert failed


async def test_a_stopped_tool_leaves_the_conversation_usable(
    chat: Chat, fake_model: FakeModel
) -> None:
    await register(chat, WAIT_UNTIL_ABORTED)
    await ask(chat, fake_model)
    await chat.evaluate("hasBegun")
    await chat.button("Stop").click()

    await expect(chat.messages.last.locator(".tools")).to_have_text(NO_RESULT)
    await expect(chat.button("Stop")).to_be_hidden()
    assert await chat.evaluate("globalThis.aborted")
    await expect(chat.box).to_have_value("")
    asking = asyncio.create_task(chat.send("And now?"))
    reply = await fake_model.next_reply()
    await asking
    reply.send_text("Another answer.")
    reply.finish()
    await chat.expect_reply("Another answer.")
    assert reply.prompt.messages[-1].text == "And now?"


async def test_a_visitor_writes_instead_of_waiting_for_a_tool(
    chat: Chat, fake_model: FakeModel
) -> None:
    await register(chat, WAIT_UNTIL_ABORTED)
    await ask(chat, fake_model)
    await chat.evaluate("hasBegun")
    await register(chat, "return 'now'")
    await chat.send("And now?")
    reply = await fake_model.next_reply()

    assert await chat.evaluate("globalThis.aborted")
    assert reply.prompt.messages[-1].text == "And now?"
    # The new reply belongs to this tab, which runs its tools.
    reply.send_text("One moment. ")
    await expect(chat.replies.last).to_have_text("One moment. ")
    await expect(chat.status).to_have_text("The assistant is writing …")
    call_tool(reply, number=2)
    reply.finish(FinishReason.TOOL_CALLS)
    reply, outputs = await results(fake_model)
    reply.send_text("There.")
    reply.finish()
    await chat.expect_reply("One moment. There.")
    assert outputs == [('"now"', False)]
    await expect(chat.box).to_have_value("")
    tools = chat.messages.filter(has_text="Look.").locator(".tools")
    await expect(tools).to_have_text(NO_RESULT)
    await chat.page.reload()
    await open_panel(chat)
    await expect(chat.questions).to_have_text(["Where is it?", "And now?"])
    await expect(tools).to_have_text(NO_RESULT)


async def test_a_message_that_is_refused_gives_the_tool_up_and_stays_in_the_box(
    visitor: Visitor, chat: Chat, fake_model: FakeModel
) -> None:
    visitor.expect_problems("429")
    await register(chat, WAIT_UNTIL_ABORTED)
    await ask(chat, fake_model)
    await chat.evaluate("hasBegun")
    await chat.page.route(
        "**/api/chat",
        lambda route: route.fulfill(
            status=429,
            content_type="application/problem+json",
            body=json.dumps({"code": "too_many_requests", "detail": ""}),
        ),
    )
    await chat.box.fill("And now?")
    await chat.button("Send").click()

    await expect(chat.notice).to_contain_text("Too many messages.")
    await expect(chat.box).to_have_value("And now?")
    await expect(chat.button("Stop")).to_be_hidden()
    await expect(chat.messages.last.locator(".tools")).to_have_text(NO_RESULT)
    assert await chat.evaluate("globalThis.aborted")
