"""The Agents SDK: its runner with both APIs, and its sessions on the server."""

from agents import (
    Agent,
    ModelSettings,
    OpenAIConversationsSession,
    OpenAIProvider,
    RunConfig,
    Runner,
    SQLiteSession,
    function_tool,
    set_tracing_disabled,
)
from openai import APIError, AsyncOpenAI, AuthenticationError
from pydantic import BaseModel
from scenarios import (
    API_KEY,
    BASE_URL,
    CITY,
    DEGREES,
    FOUND,
    MODEL,
    TOO_LONG,
    WRONG_KEY,
    fails_async,
    includes,
    play,
    weather,
)

# Otherwise it sends the conversation to OpenAI.
set_tracing_disabled(disabled=True)


class Report(BaseModel):
    city: str
    degrees: int


class Scenarios:
    """With a session that keeps the history on the client's side."""

    def __init__(self, *, use_responses: bool):
        self._use_responses = use_responses

    def _run_config(self, key=API_KEY):
        client = AsyncOpenAI(base_url=BASE_URL, api_key=key)
        provider = OpenAIProvider(openai_client=client, use_responses=self._use_responses)
        return RunConfig(model_provider=provider)

    def _session(self):
        return SQLiteSession("main")

    async def _run(self, text, agent=None, key=API_KEY, session=None):
        agent = agent or Agent(name="Clerk", model=MODEL)
        session = session or self._session()
        return await Runner.run(agent, text, session=session, run_config=self._run_config(key))

    async def text(self):
        includes((await self._run("Hello?")).final_output, "user: Hello?")

    async def system(self):
        agent = Agent(name="Clerk", model=MODEL, instructions="Rhyme.")
        includes((await self._run("Hello?", agent)).final_output, "Rhyme.", "user: Hello?")

    async def turns(self):
        session = self._session()
        await self._run("One", session=session)
        second = await self._run("Two", session=session)
        includes(second.final_output, "user: One", "assistant: ", "user: Two")
        assert len(await session.get_items()) == 4

    async def stream(self):
        agent = Agent(name="Clerk", model=MODEL)
        result = Runner.run_streamed(
            agent, "Hello?", session=self._session(), run_config=self._run_config()
        )
        text = "".join(
            [
                event.data.delta
                async for event in result.stream_events()
                if event.type == "raw_response_event"
                and event.data.type == "response.output_text.delta"
            ]
        )
        includes(text, "user: Hello?")
        assert result.final_output == text

    async def tools(self):
        agent = Agent(name="Clerk", model=MODEL, tools=[function_tool(weather)])
        session = self._session()
        first = await self._run("How is the weather?", agent, session=session)
        includes(first.final_output, FOUND)
        includes((await self._run("Thanks.", session=session)).final_output, "user: Thanks.")

    async def structured(self):
        agent = Agent(
            name="Clerk",
            model=MODEL,
            output_type=Report,
            model_settings=ModelSettings(temperature=0),
        )
        reply = await self._run("How warm?", agent)
        assert reply.final_output == Report(city=CITY, degrees=DEGREES)

    async def error(self):
        wrong = self._run("Hello?", key=WRONG_KEY)
        await fails_async(wrong, AuthenticationError, "client_key_invalid")
        await fails_async(self._run(TOO_LONG), APIError, "message_too_long", "A message has at")


class Conversations(Scenarios):
    """With a session that Privity keeps."""

    def __init__(self):
        super().__init__(use_responses=True)

    def _session(self):
        return OpenAIConversationsSession(
            openai_client=AsyncOpenAI(base_url=BASE_URL, api_key=API_KEY)
        )


for api, scenarios in {
    "responses": Scenarios(use_responses=True),
    "chat completions": Scenarios(use_responses=False),
    "conversations": Conversations(),
}.items():
    play(client="openai-agents", api=api, scenarios=scenarios)
