"""How a body of the AI SDK becomes a message for the use case."""

from typing import Any

import msgspec
import pytest

from domain.model.limits import MessageLimit
from domain.service.user_images import ImagePolicy
from entrypoints.http.ai_sdk.bodies import (
    UiMessage,
    newest_message,
    read_ai_sdk,
    tool_results_of,
)
from entrypoints.http.ai_sdk.dispatch import AiSdkRequest, dispatch
from entrypoints.usecases.open_turn import Started
from entrypoints.usecases.send_message import NewMessage
from tests.support.builders import ID, OWNER, after_turns, with_question
from tests.support.harness import PAYER

MESSAGE = {"id": "u9", "role": "user", "parts": [{"type": "text", "text": "And?"}]}


class RecordingServices:
    """Services that only record the messages."""

    def __init__(self) -> None:
        self.messages: list[NewMessage] = []
        self.find_conversation = FixedConversation()
        self.images = ImagePolicy()
        self.message_limit = MessageLimit()

    async def send_message(self, _: object, message: NewMessage) -> Started:
        self.messages.append(message)
        conversation = with_question(after_turns(1), number=2)
        return Started(owner=OWNER, conversation=conversation)


class FixedConversation:
    async def __call__(self, *_: object) -> str:
        return ID

    def derived_id(self, *_: object) -> str:
        return ID


@pytest.mark.parametrize(("members", "is_edit"), [({}, False), ({"messageId": "u9"}, True)])
async def test_every_message_except_an_edit_is_new(
    members: dict[str, Any], *, is_edit: bool
) -> None:
    services: Any = RecordingServices()
    body = read_ai_sdk(msgspec.json.encode({"id": "mine", "messages": [MESSAGE], **members}))
    request = AiSdkRequest(
        owner=OWNER,
        body=body,
        newest=newest_message(body),
        payer=PAYER,
        locales=(),
        first_locales=(),
        idempotency=None,
    )
    await dispatch(services, request)

    [message] = services.messages
    assert (message.message_id, message.is_edit, message.is_new) == ("u9", is_edit, not is_edit)


def test_the_results_of_tools_that_we_ran_are_not_taken_from_the_client() -> None:
    shown = {
        "role": "assistant",
        "parts": [
            {
                "type": "dynamic-tool",
                "toolName": "search",
                "toolCallId": "ours",
                "providerExecuted": True,
                "state": "output-available",
                "output": "x" * 40_000,
            },
            {
                "type": "tool-weather",
                "toolCallId": "theirs",
                "state": "output-available",
                "output": "clear",
            },
        ],
    }
    message = msgspec.json.decode(msgspec.json.encode(shown), type=UiMessage)

    assert [result.call_id for result in tool_results_of(message)] == ["theirs"]
