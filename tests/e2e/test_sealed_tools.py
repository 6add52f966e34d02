"""Nothing of tool calls, or of a reply that a hook wrote, is readable in Redis or in the log."""

import json
from pathlib import Path
from typing import Any

from tests.e2e.test_sealed_at_rest import MARK, SENTENCE, found
from tests.support.event_stream import text_of
from tests.support.hook_server import SECRET, an_answer, fake_hook
from tests.support.mcp_server import official_server
from tests.support.model_server import DONE, ModelResponse, a_reply, delta, finished, model_server
from tests.support.native_client import NativeClient
from tests.support.redis_contents import dump_files, dump_keys, monitoring
from tests.support.redis_servers import RedisProcess
from tests.support.redis_services import redis_client, serving_with_redis

PROFILE = """
system_prompt = "Be kind."

[welcome]
en = "Welcome"

[[tools.mcp]]
name = "library"
url = "{url}"
allowed = ["search", "broken"]

[[tools.client]]
name = "show"
description = "Shows a text."
parameters = {{ type = "object" }}
"""


def calling(*names: str) -> ModelResponse:
    """A reply that calls these tools with the planted sentence."""
    calls = [
        {
            "index": index,
            "id": f"call_{name}",
            "type": "function",
            "function": {"name": name, "arguments": json.dumps({"query": SENTENCE})},
        }
        for index, name in enumerate(names)
    ]
    return ModelResponse(chunks=(delta(tool_calls=calls), finished("tool_calls"), DONE))


def respond(body: dict[str, Any]) -> ModelResponse:
    """Calls both tools of the server, then the client's, and then replies."""
    results = sum(message["role"] == "tool" for message in body["messages"])
    steps = {0: calling("search", "broken"), 2: calling("show"), 3: a_reply(SENTENCE)}
    return steps[results]


async def replies_with_tools(client: NativeClient) -> tuple[list[str], str]:
    """The text of a reply that calls all tools, that of the hook's reply, and the export."""
    await client.get_key()
    session_id = (await client.send("Find it")).session_id
    results = {"results": [{"toolCallId": "call_show", "output": {SENTENCE: SENTENCE}}]}
    continued = await client.post(f"/api/chat/{session_id}/tool-results", results)
    written = await client.send("And now?", session_id)
    export = await client.get(f"/api/chat/{session_id}/export")
    return [text_of(answer.events) for answer in (continued, written)], export.body.decode()


async def test_calls_and_results_are_not_readable_in_redis_or_in_the_log(
    own_server: RedisProcess, tmp_path: Path
) -> None:
    profile = tmp_path / "assistant.toml"
    async with (
        redis_client(own_server) as redis,
        monitoring(own_server) as monitor,
        official_server() as tools,
        model_server(respond=respond) as model,
        fake_hook(an_answer(), an_answer(), an_answer(reply=SENTENCE), skips_checks=True) as hook,
    ):
        profile.write_text(PROFILE.format(url=tools.url))
        async with serving_with_redis(
            own_server,
            ASSISTANT_FILE=str(profile),
            MODEL_BASE_URL=model.url,
            MODEL_NAME="small-1",
            PRIVITY_LOG_LEVEL="debug",
            PRIVITY_HOOK_URL=hook.url,
            PRIVITY_HOOK_SECRET=SECRET,
        ) as service:
            replies, export = await replies_with_tools(NativeClient(service.url))
            values = await dump_keys(redis)
            await monitor.has_seen(redis, MARK)
            disk = await dump_files(redis, own_server.directory)
            service.terminate()
            ended = await service.wait()
    places = {
        "keys": b" ".join(values),
        "values": b" ".join(values.values()),
        "disk": disk,
        "wire": bytes(monitor.seen),
        "log": (ended.out + ended.err).encode(),
    }

    assert replies == [SENTENCE, SENTENCE]
    # Three calls, the results of two of them and of the client's tool, and two replies.
    assert export.count("kingfisher") >= 8
    assert "tool.called" in ended.err + ended.out
    assert found(SENTENCE, places) == []
