"""The Agents SDK: its sessions and its runner, unmodified."""

import agents
import pytest
from agents import Agent, OpenAIConversationsSession, RunConfig, Runner, function_tool
from openai import AsyncOpenAI


@pytest.fixture(autouse=True)
def untraced() -> None:
    """Traces would be sent to OpenAI."""
    agents.set_tracing_disabled(disabled=True)


@function_tool
def weather(city: str) -> str:
    """Look at the sky."""
    return f"sunny in {city}"


@pytest.fixture
def config(client: AsyncOpenAI) -> RunConfig:
    return RunConfig(model_provider=agents.OpenAIProvider(openai_client=client))


@pytest.fixture
def agent() -> Agent[None]:
    return Agent(name="Clerk", instructions="Rhyme.", model="any", tools=[weather])


@pytest.fixture
def session(client: AsyncOpenAI) -> OpenAIConversationsSession:
    return OpenAIConversationsSession(openai_client=client)


async def test_a_session_stores_messages_and_tool_results(
    agent: Agent[None], session: OpenAIConversationsSession, config: RunConfig
) -> None:
    looked = await Runner.run(agent, "Please look.", session=session, run_config=config)
    answered = await Runner.run(agent, "And now?", session=session, run_config=config)
    kinds = [item.get("type") for item in await session.get_items()]

    assert looked.final_output == "Found sunny in Rome and sunny in Oslo "
    assert answered.final_output == "[Rhyme.] Please look. / And now? "
    assert kinds == [
        "message", "reasoning", *["function_call"] * 2, *["function_call_output"] * 2, "message",
        "message", "message",
    ]  # fmt: skip


async def test_a_session_stores_a_reply_that_is_longer_than_a_persons_message(
    agent: Agent[None], session: OpenAIConversationsSession, config: RunConfig
) -> None:
    await Runner.run(agent, "a" * 6_000, session=session, run_config=config)
    answered = await Runner.run(agent, "b" * 6_000, session=session, run_config=config)

    assert len(answered.final_output) > 12_000
    assert (await session.get_items())[-1]["content"][0]["text"] == answered.final_output  # type: ignore[typeddict-item, index]


async def test_a_run_continues_with_all_its_items(agent: Agent[None], config: RunConfig) -> None:
    looked = await Runner.run(agent, "Please look.", run_config=config)
    sent = [*looked.to_input_list(), {"role": "developer", "content": "Shout."}]
    answered = await Runner.run(
        agent,
        [*sent, {"role": "user", "content": "b" * 6_000}],  # type: ignore[list-item]
        run_config=config,
    )

    assert answered.final_output == f"[Rhyme.] Please look. / {'b' * 6_000} "


async def test_items_are_read_and_popped(session: OpenAIConversationsSession) -> None:
    items = [{"role": "user", "content": str(number)} for number in range(25)]
    await session.add_items(items)  # type: ignore[arg-type]
    newest = await session.get_items(limit=2)
    popped = await session.pop_item()

    assert [item["content"][0]["text"] for item in newest] == ["23", "24"]  # type: ignore[typeddict-item, index]
    assert popped == newest[-1]
    assert len(await session.get_items()) == 24


async def test_a_cleared_session_is_empty(session: OpenAIConversationsSession) -> None:
    await session.add_items([{"role": "user", "content": "Hello?"}])
    await session.clear_session()

    assert await session.get_items() == []


async def test_the_runner_works_in_a_conversation(
    agent: Agent[None], client: AsyncOpenAI, config: RunConfig
) -> None:
    conversation = await client.conversations.create()
    looked = await Runner.run(
        agent, "Please look.", conversation_id=conversation.id, run_config=config
    )
    streamed = Runner.run_streamed(
        agent, "And now?", conversation_id=conversation.id, run_config=config
    )
    kinds = [event.type async for event in streamed.stream_events()]

    assert looked.final_output.startswith("Found")
    assert streamed.final_output == "[Rhyme.] Please look. / And now? "
    assert "raw_response_event" in kinds


async def test_the_runner_continues_a_response(agent: Agent[None], config: RunConfig) -> None:
    first = await Runner.run(agent, "Please look.", run_config=config)
    second = await Runner.run(
        agent, "And now?", previous_response_id=first.last_response_id, run_config=config
    )

    assert second.final_output == "[Rhyme.] Please look. / And now? "
